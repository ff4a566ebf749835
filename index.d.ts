/**
 * Runs system commands: streams their lines, ends them on time with their whole process tree, bounds what their output
 * may cost, and tells exactly what happened. Output never leaves the machine.
 *
 * @packageDocumentation
 */
import { EventEmitter } from 'node:events';

/** A line for a shell, with everything a shell line may do. */
export interface ShellCommand {
  type: 'shell';
  /** The line. */
  command: string;
  /** A path, or a name on the child's `PATH`. Default: `/bin/bash`, else `/bin/sh`; on Windows `cmd.exe`. */
  shell?: string | null;
}

/** A program and its arguments; no shell ever sees them. */
export interface ExecCommand {
  type: 'exec';
  /** A path (relative ones start at `workingDir`) or a name on the child's `PATH`. */
  program: string;
  /** Arguments after the program's own name. Default: none. */
  args?: readonly string[] | null;
}

/** A script file, given to its interpreter as a file. */
export interface ScriptCommand {
  type: 'script';
  /** The file; a relative path starts at `workingDir`. */
  path: string;
  /** Default: the script's `#!` line, else its extension. */
  interpreter?: string | null;
  /** Arguments for the script. Default: none. */
  args?: readonly string[] | null;
}

/** The AWS command line, its pager off and its output untouched. */
export interface AwsCliCommand {
  type: 'aws_cli';
  /** As in `aws <service>`: `s3`, `sts`, `ec2`. */
  service: string;
  /** As in `aws s3 <command>`: `ls`, `describe-instances`. */
  command: string;
  /** Arguments after the command. Default: none. */
  args?: readonly string[] | null;
  /** `--profile`. */
  profile?: string | null;
  /** `--region`. */
  region?: string | null;
}

/** What to run. */
export type Command = ShellCommand | ExecCommand | ScriptCommand | AwsCliCommand;

/** A JSON value. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** What the caller says about an execution; the engine carries it and reads only `label`. Any JSON. */
export interface ExecutionMetadata {
  /** Who asked: a playbook, a person, a schedule. */
  source?: string;
  /** The conversation it belongs to. */
  conversationId?: string;
  /** A short name for people. */
  label?: string;
  /** Free tags. */
  tags?: string[];
  [key: string]: Json | undefined;
}

/** What to run: data, validated strictly. `null` and `undefined` mean absent. */
export interface ExecutionRequest {
  /** A UUID. Default: a fresh one. */
  id?: string | null;
  /** What to run. */
  command: Command;
  /** Variables on top of what `inheritEnv` gives. */
  env?: Readonly<Record<string, string>> | null;
  /** Where to run. Default: the host's working directory. */
  workingDir?: string | null;
  /** Milliseconds from the attempt to spawn to the end, 1 to `maxTimeoutMs`. Default: `defaultTimeoutMs`. */
  timeoutMs?: number | null;
  /**
   * An absolute path for a log, besides the engine's own: made for this user only, or appended to if a plain file of this
   * user's is there. Links, pipes and devices are refused with `LOG_FAILED`.
   */
  outputLogPath?: string | null;
  /** Carried to the result and to listings. */
  metadata?: ExecutionMetadata | null;
}

/** The signal that asks a process to end, before it is killed. On Windows each of them is Ctrl-Break. */
export type StopSignal = 'SIGTERM' | 'SIGINT' | 'SIGHUP' | 'SIGQUIT' | 'SIGUSR1' | 'SIGUSR2';

/**
 * Which members of a tree get the stop signal first: all of them at once, or the command itself, and the others when it has exited
 * or half of the grace period has passed.
 */
export type StopOrder = 'tree' | 'leader';

/** Which of the host's variables a child starts with. */
export type InheritEnv = 'all' | 'core' | 'none';

/** As what output comes: text in which bytes that are not UTF-8 are U+FFFD, or Buffers with the exact bytes. */
export type Encoding = 'utf8' | 'buffer';
/** When a failed command is run again. A cancel, an abort, a shutdown and the end of a plan always end it for good. */
export interface RetryOptions {
  /** Runs in all, the first one included: 1 to 1 000. */
  attempts: number;
  /** The longest pause after the first failure, in ms; it doubles each time, and a random half of it is taken off. Default: 1 000. */
  backoffMs?: number | null;
  /** The longest pause, in ms. Default: 30 000. */
  maxBackoffMs?: number | null;
  /** What is retried: kinds of failure, or single exit codes. Default: all four kinds. */
  on?: readonly ('exit' | 'signal' | 'timeout' | 'spawn' | number)[] | null;
}

/** How this host runs a request: policy, never taken off a wire. */
export interface ExecutionOptions {
  /** Ends the execution when it fires (status `cancelled`, reason `aborted`). */
  signal?: AbortSignal | null;
  /**
   * What the child reads: text, bytes, what an async iterable or a Readable gives as the child reads it, or the host's own
   * standard input. Default: nothing, end of file at once.
   */
  stdin?: string | Uint8Array | AsyncIterable<string | Uint8Array> | 'inherit' | null;
  /** Ends the execution after so many milliseconds without output. Default: the engine's `idleTimeoutMs`. */
  idleTimeoutMs?: number | null;
  /** Milliseconds between the stop signal and SIGKILL. Default: the engine's `killGraceMs`. */
  killGraceMs?: number | null;
  /** The signal that asks the processes of the tree to end. Default: the engine's `stopSignal`. */
  stopSignal?: StopSignal | null;
  /** Which processes get that signal first. Default: the engine's `stopOrder`. */
  stopOrder?: StopOrder | null;
  /**
   * Whether a child that opts out (`ESCHER_EXECUTION_ID=detached`, in a session of its own) is left alone when its tree is ended.
   * Default: the engine's `allowDetached`.
   */
  allowDetached?: boolean | null;
  /** Standard error goes into standard output's pipe: the order between them is exact. Default: false. */
  mergeOutput?: boolean | null;
  /** Default: the engine's `inheritEnv`. */
  inheritEnv?: InheritEnv | null;
  /** Globs of names inherited on top of `inheritEnv`; added to the engine's. */
  envAllow?: readonly string[] | null;
  /** Globs of names removed last, which a request may not set either; added to the engine's. */
  envDeny?: readonly string[] | null;
  /**
   * Strings that are masked (`***`) in whatever leaves the engine, as they are and in Base64, URL and JSON form; besides the
   * engine's own. At least 6 bytes each.
   */
  secrets?: readonly string[] | null;
  /** Whether the values of variables named by `envSecretPatterns` are masked too. Default: the engine's `maskEnvSecrets`. */
  maskEnvSecrets?: boolean | null;
  /** What becomes of background processes that outlive their command. Default: `leave`. */
  leftovers?: 'leave' | 'kill' | null;
  /** Higher starts first among the queued. A whole number, default 0. */
  priority?: number | null;
  /** Runs the command again when it fails. Default: it runs once. */
  retry?: RetryOptions | null;
  /** Output as text, or as Buffers with the exact bytes. Default: the engine's `encoding`. */
  encoding?: Encoding | null;
}

/** In which order the commands of a plan run. */
export type ExecutionStrategy = SerialStrategy | ParallelStrategy | DependencyGraphStrategy;

/** One after the other. */
export interface SerialStrategy {
  type: 'serial';
  /** Whether a step that does not complete is the last one. Default: true. */
  stopOnError?: boolean | null;
}

/** All at once. */
export interface ParallelStrategy {
  type: 'parallel';
  /** At most so many of this plan at once. Default: as many as the engine has slots. */
  maxConcurrency?: number | null;
}

/** Each as soon as those that it depends on have completed. */
export interface DependencyGraphStrategy {
  type: 'dependency_graph';
  /** For the index of a command the indexes of those that must complete before it. */
  dependencies: Readonly<Record<number, readonly number[]>>;
}

/** A small set of commands and the order between them. A step is a command by its index. */
export interface ExecutionPlan {
  /** A UUID. Default: a fresh one. */
  id?: string | null;
  /** What it is for, in the words of people. */
  description: string;
  /** In which order the commands run. */
  strategy: ExecutionStrategy;
  /** 1 to 100 000 commands. */
  commands: readonly ExecutionRequest[];
  /** Carried to the result. */
  metadata?: ExecutionMetadata | null;
}

/** How this host runs a plan: options for all its steps, and what is the plan's own. Its `signal` ends the whole plan. */
export interface PlanOptions extends ExecutionOptions {
  /** A step that does not complete keeps no other from running. Default: false. */
  continueOnError?: boolean | null;
  /** Ends the plan after so many milliseconds (status `timeout`). Default: never. */
  deadlineMs?: number | null;
  /** Options of single steps, by index, on top of those for all. */
  steps?: Readonly<Record<number, ExecutionOptions>> | null;
}

/** The configuration of an engine. */
export interface ExecutionConfig {
  /** Timeout of a request that names none, in ms. Default: 300 000. */
  defaultTimeoutMs?: number | null;
  /** The longest timeout a request may ask for, in ms. Default: 3 600 000. */
  maxTimeoutMs?: number | null;
  /** Whether output lines become events. Default: true. */
  streamOutput?: boolean | null;
  /** Output as text, or as Buffers with the exact bytes. Default: `utf8`. */
  encoding?: Encoding | null;
  /** How many commands run at once. Default: 100. */
  maxConcurrentExecutions?: number | null;
  /** When so many run: wait, or be refused with `CONCURRENCY_LIMIT_REACHED`. Default: `queue`. */
  concurrencyPolicy?: 'queue' | 'reject' | null;
  /** How many may wait; one more is refused with `QUEUE_FULL`. Default: 10 000. */
  maxQueuedExecutions?: number | null;
  /** The longest wait for a slot, in ms. Default: no bound. */
  queueTimeoutMs?: number | null;
  /** Between the stop signal and SIGKILL, in ms. 0: SIGKILL at once. Default: 5 000. */
  killGraceMs?: number | null;
  /** The signal that asks the processes of an execution to end. Default: `'SIGTERM'`. */
  stopSignal?: StopSignal | null;
  /** Which processes get the stop signal first. Default: `'tree'`. */
  stopOrder?: StopOrder | null;
  /** Between the stop signal and SIGKILL when the host exits or dies, in ms. Default: the `killGraceMs` of each execution. */
  hostExitGraceMs?: number | null;
  /**
   * Whether a child that opts out (`ESCHER_EXECUTION_ID=detached`, in a session of its own) is left alone when its execution is
   * ended. Default: false.
   */
  allowDetached?: boolean | null;
  /** Whether each execution gets a control group of its own where the host may make some (Linux, cgroup v2). Default: true. */
  controlGroups?: boolean | null;
  /** Ends an execution after so many ms without output. Default: never. */
  idleTimeoutMs?: number | null;
  /** How long an output pipe may be silent after the command has exited, in ms. Default: 500; at most 2 s in all. */
  drainTimeoutMs?: number | null;
  /** The longest line in one piece, in bytes. Default: 65 536. */
  maxLineBytes?: number | null;
  /** Bytes of output kept in memory for each stream. Default: 10 MiB. */
  maxOutputSizeBytes?: number | null;
  /**
   * What happens to more: keep a part of it; end the execution with `OUTPUT_SIZE_EXCEEDED`; or keep a part of it and all of it
   * in a file that goes with the record. Default: `truncateWithWarning`.
   */
  oversizedOutputStrategy?: 'truncateWithWarning' | 'failExecution' | 'streamToFile' | null;
  /** An older word for `oversizedOutputStrategy`: `false` is `failExecution`, unless a strategy is named. Default: true. */
  truncateLargeOutput?: boolean | null;
  /** Which part of too much output is kept. Default: `both` ends. */
  truncateKeep?: 'head' | 'tail' | 'both' | null;
  /** An absolute path: where `streamToFile` writes. Default: a folder of this user under the temp folder. */
  overflowDir?: string | null;
  /** The largest such file, in bytes. Default: 1 GiB. */
  maxOverflowFileBytes?: number | null;
  /** Bytes in all such files of this engine. Default: 4 GiB. */
  maxOverflowTotalBytes?: number | null;
  /** Such files and logs stop growing before the disk has less than so many bytes left. Default: 512 MiB. */
  minFreeDiskBytes?: number | null;
  /** An absolute path: where each execution gets a log, named by its id. Default: no logs. */
  logDir?: string | null;
  /** What is in logs: the raw bytes as they came, or a JSON object for each line. Default: `raw`. */
  logFormat?: 'raw' | 'jsonl' | null;
  /** Whether logs in `logDir` stay when their record leaves. A file at `outputLogPath` always does. Default: true. */
  keepLogs?: boolean | null;
  /** The largest log, in bytes. What is more is counted as lost (`logLostBytes`). Default: 1 GiB. */
  maxLogFileBytes?: number | null;
  /** Bytes in all logs of executions that are remembered. Default: 16 GiB. */
  maxLogTotalBytes?: number | null;
  /** Strings that are masked (`***`) in whatever leaves the engine. At least 6 bytes each. Default: none. */
  secrets?: readonly string[] | null;
  /** Whether the values of variables named by `envSecretPatterns` are masked too. Default: false. */
  maskEnvSecrets?: boolean | null;
  /**
   * Globs of the names of variables whose values are secret. Default: `*TOKEN* *SECRET* *PASSWORD* *PASSWD* *CREDENTIAL*
   * *PRIVATE_KEY* *API_KEY* AWS_*KEY*`.
   */
  envSecretPatterns?: readonly string[] | null;
  /**
   * Whether a guardian process ends what runs when the host dies, however it dies. Default: true. Windows needs none, and
   * ends what runs in any case.
   */
  guardian?: boolean | null;
  /** Which of the host's variables a child starts with. Default: `all`. */
  inheritEnv?: InheritEnv | null;
  /** Globs of names inherited on top. Default: none. */
  envAllow?: readonly string[] | null;
  /** Globs of names no child gets. Default: none. */
  envDeny?: readonly string[] | null;
  /** Ended executions that are remembered. Default: 1 000. */
  maxInMemoryExecutions?: number | null;
  /** How long they are remembered, in seconds. Default: 3 600. */
  executionRetentionSecs?: number | null;
  /** Bytes of kept output in all of them. Default: 256 MiB. */
  maxRetainedOutputBytes?: number | null;
  /** Whether ended executions are forgotten by themselves. If not, only `cleanup()` forgets. Default: true. */
  enableAutoCleanup?: boolean | null;
  /** The least time between two looks for records that are too old, in seconds. With none that could be, nobody looks. Default: 60. */
  cleanupIntervalSecs?: number | null;
}

/** Every field of a configuration with its value in force; what has no bound is `null`. */
export type ResolvedConfig = {
  readonly [K in keyof ExecutionConfig]-?: K extends 'queueTimeoutMs' | 'idleTimeoutMs' | 'hostExitGraceMs' | 'overflowDir' | 'logDir'
    ? NonNullable<ExecutionConfig[K]> | null
    : NonNullable<ExecutionConfig[K]>;
};

/** Where an execution stands. The last four are final. */
export type ExecutionStatus = 'pending' | 'running' | 'completed' | 'failed' | 'cancelled' | 'timeout';

/** Why an execution ended. */
export type Reason =
  | 'exit'
  | 'signal'
  | 'timeout'
  | 'idle_timeout'
  | 'queue_timeout'
  | 'cancelled'
  | 'aborted'
  | 'output_limit'
  | 'shutdown'
  | 'host_exit'
  | 'spawn_failed';

/** Stable names of errors. */
export type ErrorCode =
  | 'INVALID_CONFIG'
  | 'INVALID_REQUEST'
  | 'INVALID_PLAN'
  | 'DUPLICATE_ID'
  | 'NOT_FOUND'
  | 'NOT_COMPLETED'
  | 'CONCURRENCY_LIMIT_REACHED'
  | 'QUEUE_FULL'
  | 'SPAWN_FAILED'
  | 'OUTPUT_SIZE_EXCEEDED'
  | 'LOG_FAILED'
  | 'LOG_NOT_FOUND'
  | 'ENGINE_SHUT_DOWN'
  | 'NOT_INITIALIZED'
  | 'ALREADY_INITIALIZED'
  | 'INTERNAL';

/** What kept the engine from doing its part. */
export interface ErrorInfo {
  code: ErrorCode;
  /** What was asked, what happened, and what to do. */
  message: string;
  /** The operating system's name for it, such as `ENOENT`. */
  errno?: string;
}

/** What an execution was doing when its time was up. */
export interface Diagnosis {
  /** Milliseconds since its last output, or since its start. */
  silentMs: number;
  /** Its processes, with what they were doing. */
  processes: {
    pid: number;
    parent: number;
    /** Its program and arguments; its name in brackets while it has none. */
    command: string;
    /** As in `ps`: `R` runs, `S` and `D` wait, `T` is stopped. */
    state: string;
    /** Milliseconds of processor time so far. */
    cpuMs: number;
    /** What it is blocked reading, if it is one of these. */
    waitsFor?: 'stdin' | 'terminal';
  }[];
}

/** Exactly what happened. `Output` is `Buffer` with `encoding: 'buffer'`. */
export interface ExecutionResult<Output extends string | Buffer = string> {
  id: string;
  /** A final status. */
  status: 'completed' | 'failed' | 'cancelled' | 'timeout';
  /** Whether the status is `completed`. */
  success: boolean;
  /** `null` when a signal ended the command or it never ran. */
  exitCode: number | null;
  /** The name of the signal that ended it, such as `SIGKILL`. */
  signal: string | null;
  /** Exactly what it wrote to standard output, up to `maxOutputSizeBytes`. */
  stdout: Output;
  /** Exactly what it wrote to standard error, up to `maxOutputSizeBytes`. */
  stderr: Output;
  /** Milliseconds from spawn to the end, on a monotonic clock. */
  durationMs: number;
  /** Milliseconds from acceptance, or from the end of the pause before this attempt, to spawn. */
  queuedMs: number;
  /** When it was spawned, or accepted if it never was. */
  startedAt: Date;
  completedAt: Date;
  /** `null` when it never ran. */
  pid: number | null;
  /** Which attempt this was, from 1. All that is told here is of this attempt. */
  attempt: number;
  /** The attempts before it, oldest first. Absent when there were none. */
  retries?: FailedAttempt[];
  /** Set when the engine could not do its part. */
  error?: ErrorInfo;
  /** Why it ended; absent only when a defect of the engine ended it. */
  reason?: Reason;
  /** Bytes written, kept or not. */
  stdoutBytes: number;
  stderrBytes: number;
  /** Whether `stdout` lacks some of them. */
  stdoutTruncated: boolean;
  stderrTruncated: boolean;
  /**
   * All of standard output, when it was longer than its cap and the strategy is `streamToFile`: from its first byte, to
   * its end or to the bound that it met. The file goes with the record.
   */
  stdoutOverflowFile?: string;
  stderrOverflowFile?: string;
  /** Bytes that those files should have got and did not, because a bound or the disk forbade it. */
  overflowLostBytes: number;
  /** Its log: at `outputLogPath` if the request named one, else in `logDir`. */
  logPath?: string;
  /** Bytes that a log should have got and did not. */
  logLostBytes: number;
  /** Whether a background process still held an output pipe when the engine stopped reading. */
  leaked: boolean;
  /** What the engine had to end: the processes alive when it began, and the farthest means it needed. */
  killed?: { pids: number[]; mechanism: string };
  /** What it was doing when its time was up (`timeout`, `idle_timeout`). */
  diagnosis?: Diagnosis;
  /** Milliseconds of processor time: the command and the children it waited for. */
  cpuUserMs: number;
  cpuSystemMs: number;
  /** As in the request. */
  metadata: ExecutionMetadata;
}

/** An attempt that failed and was followed by another one. */
export interface FailedAttempt {
  /** Which one it was, from 1. */
  attempt: number;
  status: 'failed' | 'timeout';
  exitCode: number | null;
  signal: string | null;
  reason: Reason;
  /** Set when it could not be started. */
  error?: ErrorInfo;
  startedAt: Date;
  /** Milliseconds that it waited for a slot. */
  queuedMs: number;
  /** Milliseconds from spawn to the end. */
  durationMs: number;
  /** Milliseconds of the pause after it. */
  delayMs: number;
}

/** Why a step never began. */
export type SkipReason = 'dependency' | 'stop_on_error' | 'cancelled' | 'aborted' | 'deadline' | 'shutdown' | 'duplicate_id';

/** A step that never began. */
export interface SkippedStep {
  index: number;
  reason: SkipReason;
  /** The step that did not complete, for `dependency` and `stop_on_error`; else `null`. */
  because: number | null;
}

/** One step of a plan that is over. */
export interface PlanStep {
  index: number;
  /** The id of its execution, which has a record unless the step was skipped. */
  id: string;
  /** The label of its request, else the command as a person would type it, at most 200 characters. */
  name: string;
  status: ExecutionResult['status'] | 'skipped';
  /** The steps that it waited for. */
  dependsOn: number[];
}

/** How many steps of a plan ended in which way. */
export interface PlanStats {
  total: number;
  completed: number;
  failed: number;
  cancelled: number;
  timeout: number;
  skipped: number;
  /** Attempts beyond the first of each step. */
  retries: number;
}

/** What came of a plan. */
export interface PlanExecutionResult<Output = string> {
  planId: string;
  /** `completed` when every step completed; `cancelled` or `timeout` when the plan was ended; else `failed`. */
  status: ExecutionResult['status'];
  /** Whether the status is `completed`. */
  success: boolean;
  /** As in the plan. */
  description: string;
  /** The results of the steps that began, in the order of their indexes. Made when first read. */
  readonly results: ExecutionResult<Output>[];
  /** All steps, by index. */
  steps: PlanStep[];
  /** The steps that never began, in the order of their indexes. */
  skipped: SkippedStep[];
  stats: PlanStats;
  /** Milliseconds from acceptance to the end, on a monotonic clock. */
  totalDurationMs: number;
  startedAt: Date;
  completedAt: Date;
  /** As in the plan. */
  metadata: ExecutionMetadata;
}

interface EventBase {
  executionId: string;
  timestamp: Date;
  /** Counts the events of this execution from 0; a listener to some sees gaps only where others are. */
  sequence: number;
  /** The plan that the execution is a step of. */
  planId?: string;
  /** Its index in that plan. */
  step?: number;
}

/** Accepted, and waiting for a slot. */
export interface QueuedEvent extends EventBase {
  type: 'queued';
  /** The command as a person would type it. */
  command: string;
}

/** Spawned. */
export interface StartedEvent extends EventBase {
  type: 'started';
  /** The command as a person would type it. */
  command: string;
  pid: number;
}

/** The execution goes on, with less than was promised: there is no guardian for it. */
export interface DegradedEvent extends EventBase {
  type: 'degraded';
  /** What is missing, and why. */
  message: string;
}

/** An attempt failed, and another one follows after a pause. */
export interface RetryEvent<Output = string> extends EventBase {
  type: 'retry';
  /** The attempt that failed, from 1. */
  attempt: number;
  /** The most attempts there will be. */
  attempts: number;
  /** Milliseconds until the next one may begin. */
  delayMs: number;
  /** What happened in this attempt. Made when first read. */
  readonly result: ExecutionResult<Output>;
}

/** A plan is farther than before: told when a step begins and when one is over. */
export interface ProgressEvent<Output = string> extends EventBase {
  type: 'progress';
  /** The plan, as `executionId`: these events have a sequence of their own. */
  planId: string;
  /** Steps that are over, the skipped ones included: at the end it is `total`. */
  completed: number;
  /** Those of them that began and did not complete. */
  failed: number;
  /** Those of them that never began. */
  skipped: number;
  total: number;
  /** The command of the step that began last among those that run. */
  currentCommand: string | null;
  /** How the plan ended, in its last event. */
  status: 'running' | ExecutionResult['status'];
  /** What came of it, in its last event. Made when first read. */
  readonly result?: PlanExecutionResult<Output>;
}

/** A line without its end, or a piece of one: a line is its pieces up to the first without `partial` or `continued`. */
export interface OutputEvent<
  T extends 'stdout' | 'stderr' = 'stdout' | 'stderr',
  Output extends string | Buffer = string,
> extends EventBase {
  type: T;
  /** The text, where bytes that are not UTF-8 are U+FFFD; with `encoding: 'buffer'` the bytes. */
  line: Output;
  /** The line was not finished after 200 ms of silence: more of it may follow. */
  partial?: true;
  /** The line is longer than `maxLineBytes`: more of it follows. */
  continued?: true;
  /** A lone carriage return ended it: a progress display overwrites it. */
  carriageReturn?: true;
}

/** The end of an execution: exactly one of these, and nothing after it. */
export interface EndEvent<
  T extends ExecutionResult['status'] = ExecutionResult['status'],
  Output extends string | Buffer = string,
> extends EventBase {
  type: T;
  /** Made when first read. */
  readonly result: ExecutionResult<Output>;
  /** Set when the engine could not do its part. */
  error?: ErrorInfo;
}

/** One thing that happened. */
export type ExecutionEvent<Output extends string | Buffer = string> =
  | QueuedEvent
  | StartedEvent
  | DegradedEvent
  | RetryEvent<Output>
  | ProgressEvent<Output>
  | OutputEvent<'stdout', Output>
  | OutputEvent<'stderr', Output>
  | EndEvent<'completed', Output>
  | EndEvent<'failed', Output>
  | EndEvent<'cancelled', Output>
  | EndEvent<'timeout', Output>;

/** The events of an engine and what their listeners get. */
export interface ExecutionEvents<Output extends string | Buffer = string> {
  queued: [QueuedEvent];
  started: [StartedEvent];
  degraded: [DegradedEvent];
  retry: [RetryEvent<Output>];
  progress: [ProgressEvent<Output>];
  stdout: [OutputEvent<'stdout', Output>];
  stderr: [OutputEvent<'stderr', Output>];
  completed: [EndEvent<'completed', Output>];
  failed: [EndEvent<'failed', Output>];
  cancelled: [EndEvent<'cancelled', Output>];
  timeout: [EndEvent<'timeout', Output>];
  /** All of them. */
  event: [ExecutionEvent<Output>];
}

/** The events of one execution at the consumer's pace: a slow consumer slows the child, `break` ends it. */
export interface ExecutionStream<Output extends string | Buffer = string> extends AsyncIterable<ExecutionEvent<Output>> {
  /** The id, once the request was accepted. */
  readonly id: Promise<string>;
  /** As from `waitForCompletion`. Lines that nobody reads hold the child up, so read them to the end or `break`. */
  readonly result: Promise<ExecutionResult<Output>>;
  [Symbol.asyncIterator](): AsyncIterator<ExecutionEvent<Output>, undefined, undefined>;
}

/** The events of a plan and of its steps at the consumer's pace: a slow consumer slows the children, `break` ends the plan. */
export interface PlanStream extends AsyncIterable<ExecutionEvent> {
  /** The id of the plan, once it was accepted. */
  readonly id: Promise<string>;
  /** As from `waitForPlan`. */
  readonly result: Promise<PlanExecutionResult>;
  [Symbol.asyncIterator](): AsyncIterator<ExecutionEvent, undefined, undefined>;
}

/** Which executions a listing has. */
export interface ExecutionFilter {
  status?: ExecutionStatus | null;
  /** `metadata.label`. */
  label?: string | null;
  /** `metadata.source`. */
  source?: string | null;
  /** Accepted at this moment or later: a Date, an ISO 8601 string, or milliseconds since 1970. */
  since?: Date | string | number | null;
  /** At most so many. */
  limit?: number | null;
}

/** One row of a listing. */
export interface ExecutionSummary {
  id: string;
  status: ExecutionStatus;
  /** The command as a person would type it, at most 200 characters. */
  command: string;
  /** `metadata.label`. */
  label?: string;
  /** `metadata.source`. */
  source?: string;
  /** `metadata.conversationId`. */
  conversationId?: string;
  createdAt: Date;
  completedAt?: Date;
  /** Absent before the end; `null` when a signal ended it or it never ran. */
  exitCode?: number | null;
  /** Milliseconds from spawn to the end; absent before. */
  durationMs?: number;
}

/** How long something took, over all executions that ran; each value is off by 1 % at most. */
export interface Percentiles {
  /** How many were measured. With 0 the rest is 0 too. */
  count: number;
  mean: number;
  p50: number;
  p90: number;
  p95: number;
  p99: number;
  max: number;
}

/** What the channels `escher:execution:start`, `:error` and `:end` of `node:diagnostics_channel` carry: one object for each execution. */
export interface ExecutionTrace {
  readonly executionId: string;
  /** As a person would type it, at most 200 characters. */
  readonly command: string;
  /** As in the request. */
  readonly metadata: ExecutionMetadata;
  /** From the end on. */
  status?: ExecutionResult['status'];
  /** From the end on; made when first read. */
  readonly result?: ExecutionResult;
  /** Set before `:error`, when the engine could not do its part. */
  error?: ErrorInfo;
}

/** Totals since the engine started. */
export interface ExecutionStats {
  /** Accepted. */
  total: number;
  completed: number;
  failed: number;
  cancelled: number;
  timeout: number;
  /** Bytes read from the ended executions. */
  stdoutBytes: number;
  stderrBytes: number;
  /** Lines (pieces) found in them. */
  lines: number;
  /** Times that a spawn had to wait because the machine had no room for another process. */
  backoffs: number;
  /** Executions whose result lacks output because of the cap. */
  truncated: number;
  /** Bytes that logs should have got and did not. */
  logLostBytes: number;
  /** The same of overflow files. */
  overflowLostBytes: number;
  /** Milliseconds from having a slot to being spawned. */
  spawnLatencyMs: Percentiles;
  /** Milliseconds from acceptance to spawn. */
  queueTimeMs: Percentiles;
  /** Milliseconds from spawn to the end. */
  durationMs: Percentiles;
}

/** How busy an engine is now. */
export interface ConcurrencyMetrics {
  maxConcurrent: number;
  currentlyRunning: number;
  currentlyPending: number;
  availableSlots: number;
}

/**
 * Runs commands. Each engine has its own limit, queue and records.
 *
 * Running work keeps Node alive unless {@link ExecutionEngine.unref} was called.
 *
 * @typeParam Output What listeners, and calls that name no `encoding`, get: `Buffer` when `config.encoding` is `buffer`,
 * `string | Buffer` when executions that are listened to differ.
 */
export class ExecutionEngine<Output extends string | Buffer = string> extends EventEmitter<ExecutionEvents<Output>> implements AsyncDisposable {
  /** @throws {@link ExecutionError} `INVALID_CONFIG` with the field. */
  constructor(config?: ExecutionConfig | null);

  /**
   * Makes the global engine of this thread: it runs one command at a time, the others wait.
   *
   * @throws {@link ExecutionError} `ALREADY_INITIALIZED`; `INVALID_CONFIG`, also for a `maxConcurrentExecutions` other than 1.
   */
  static initGlobal(config?: ExecutionConfig | null): ExecutionEngine;
  /** @throws {@link ExecutionError} `NOT_INITIALIZED` before `initGlobal`. */
  static global(): ExecutionEngine;
  /**
   * Reads `EXEC_*` variables, such as `EXEC_MAX_TIMEOUT_MS`. Gives only what they set.
   *
   * @param env Default: `process.env`.
   * @throws {@link ExecutionError} `INVALID_CONFIG` with the variable as `field`.
   */
  static configFromEnv(env?: Readonly<Record<string, string | undefined>>): ExecutionConfig;
  /**
   * Reads settings from a `.toml` or `.json` file with snake_case keys, which may stand in a table `execution`. Gives only
   * what it sets.
   *
   * @throws {@link ExecutionError} `INVALID_CONFIG` with the key as `field`; the message has the file and the line.
   */
  static configFromFile(path: string | URL): ExecutionConfig;
  /**
   * Reads a request in wire form (snake_case, as a server or a playbook sends it) and validates it strictly.
   *
   * @param wire JSON text, or the object that it gives.
   * @throws {@link ExecutionError} `INVALID_REQUEST` with the field.
   */
  static parseRequest(wire: string | object): ExecutionRequest;

  /**
   * Accepts a request and runs it in the background.
   *
   * @returns the id.
   * @throws {@link ExecutionError} `INVALID_REQUEST`, `DUPLICATE_ID`, `CONCURRENCY_LIMIT_REACHED`, `QUEUE_FULL`, `ENGINE_SHUT_DOWN`.
   */
  execute(request: ExecutionRequest, options?: ExecutionOptions | null): Promise<string>;
  /**
   * Waits for the end of an execution; any number of callers may, before or after it. A command that fails, times out
   * or is cancelled resolves.
   *
   * @throws {@link ExecutionError} `NOT_FOUND`; `SPAWN_FAILED` or `INTERNAL` (with `result`) when the engine could not do its part.
   */
  waitForCompletion<Found extends string | Buffer = Output>(id: string): Promise<ExecutionResult<Found>>;
  /** `execute` and `waitForCompletion`. */
  run(request: ExecutionRequest, options: ExecutionOptions & { encoding: 'buffer' }): Promise<ExecutionResult<Buffer>>;
  run(request: ExecutionRequest, options: ExecutionOptions & { encoding: 'utf8' }): Promise<ExecutionResult<string>>;
  run(request: ExecutionRequest, options?: ExecutionOptions | null): Promise<ExecutionResult<Output>>;
  /** Runs a request and gives its events at the consumer's pace. */
  stream(request: ExecutionRequest, options: ExecutionOptions & { encoding: 'buffer' }): ExecutionStream<Buffer>;
  stream(request: ExecutionRequest, options: ExecutionOptions & { encoding: 'utf8' }): ExecutionStream<string>;
  stream(request: ExecutionRequest, options?: ExecutionOptions | null): ExecutionStream<Output>;
  /**
   * Ends an execution and resolves when its tree is gone; an ended one stays as it is. `graceMs` is the time from now until SIGKILL:
   * it takes effect if that is sooner than what is left of the present grace period, however often `cancel` is called.
   *
   * @throws {@link ExecutionError} `NOT_FOUND`.
   */
  cancel(id: string, options?: { graceMs?: number | null } | null): Promise<void>;
  /**
   * Sends a signal to the command itself, and ends nothing by that. Resolves with whether there was a process to send it to: an
   * execution that waits, or has ended, has none.
   *
   * @throws {@link ExecutionError} `NOT_FOUND`; `INVALID_REQUEST` (field `signal`) for a name that is no signal here.
   */
  signal(id: string, name: NodeJS.Signals): Promise<boolean>;
  /**
   * Accepts a plan, after checking the whole of it, and runs it in the background.
   *
   * @returns its id.
   * @throws {@link ExecutionError} `INVALID_PLAN` with the field, such as `commands[3].command.program`; `INVALID_REQUEST` for
   * an option; `DUPLICATE_ID`, `ENGINE_SHUT_DOWN`.
   */
  executePlan(plan: ExecutionPlan, options?: PlanOptions | null): Promise<string>;
  /**
   * Waits for the end of a plan; any number of callers may, before or after it. However the plan ended, this resolves.
   *
   * @throws {@link ExecutionError} `NOT_FOUND`.
   */
  waitForPlan(id: string): Promise<PlanExecutionResult>;
  /** `executePlan` and `waitForPlan`. */
  runPlan(plan: ExecutionPlan, options?: PlanOptions | null): Promise<PlanExecutionResult>;
  /** Runs a plan and gives the events of the plan and of its steps at the consumer's pace. */
  streamPlan(plan: ExecutionPlan, options?: PlanOptions | null): PlanStream;
  /**
   * Ends a plan: what runs is ended with its tree, the rest is skipped. Resolves when all of it is over; a plan that is over
   * stays as it is.
   *
   * @throws {@link ExecutionError} `NOT_FOUND`.
   */
  cancelPlan(id: string): Promise<void>;

  /**
   * Ends everything that has not ended, plans too. Resolves with the number of those executions when their trees are gone. `graceMs`
   * as for {@link ExecutionEngine.cancel}.
   */
  cancelAll(options?: { graceMs?: number | null } | null): Promise<number>;

  /** @throws {@link ExecutionError} `NOT_FOUND`. */
  getStatus(id: string): ExecutionStatus;
  /** @throws {@link ExecutionError} `NOT_FOUND`, `NOT_COMPLETED` while it runs. */
  getResult<Found extends string | Buffer = Output>(id: string): ExecutionResult<Found>;
  /** Where the log of an execution is or will be; `null` when it has none. @throws {@link ExecutionError} `NOT_FOUND`. */
  getLogPath(id: string): string | null;
  /**
   * The log of an execution as text, or its last `tailBytes` bytes; while it runs, what is there so far.
   *
   * @throws {@link ExecutionError} `NOT_FOUND`; `LOG_NOT_FOUND` when there is no log, another file has taken its place, or it cannot be read.
   */
  readLogs(id: string, options?: { tailBytes?: number | null } | null): Promise<string>;
  /** The known executions, newest first. */
  listExecutions(filter?: ExecutionFilter | null): ExecutionSummary[];
  /** Forgets an ended execution. @throws {@link ExecutionError} `NOT_FOUND`, `NOT_COMPLETED` while it runs. */
  removeExecution(id: string): void;
  /** Forgets what retention allows, now. @returns how many executions that were. */
  cleanup(): number;
  /** Totals since the engine started. */
  getStats(): ExecutionStats;
  /** Totals and what the engine holds now, in the text format that Prometheus reads (0.0.4). */
  metricsText(): string;
  /** How busy the engine is now. */
  getConcurrencyMetrics(): ConcurrencyMetrics;
  /** The configuration in force, every default filled in. */
  readonly config: ResolvedConfig;

  /**
   * Takes no more work (`ENGINE_SHUT_DOWN`), gives what runs `graceMs` (default 0) to finish by itself, ends the rest as
   * a cancel does (reason `shutdown`), and resolves when all is over.
   */
  shutdown(options?: { graceMs?: number | null } | null): Promise<void>;
  /** Running work keeps Node alive (the default). */
  ref(): this;
  /** Running work does not keep Node alive. */
  unref(): this;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * A plan as a trace: JSON text for `chrome://tracing` or Perfetto, one row for each step, with its waiting, its attempts and the
 * pauses between them.
 */
export function toTrace(result: PlanExecutionResult<string | Buffer>): string;
/** A plan as a picture: SVG text with one bar for each step, and the critical path marked. */
export function toSvg(result: PlanExecutionResult<string | Buffer>): string;

/** Every error of this package. `code` is stable; the message is for people. */
export class ExecutionError extends Error {
  name: 'ExecutionError';
  readonly code: ErrorCode;
  /** The execution it is about. */
  readonly executionId?: string;
  /** The path of the field that was refused, such as `command.args[2]`. */
  readonly field?: string;
  /** The operating system's name for it, such as `ENOENT`. */
  readonly errno?: string;
  /** What can be told of the execution that failed. With `encoding: 'buffer'` its output is Buffers, here too. */
  readonly result?: ExecutionResult;
}
