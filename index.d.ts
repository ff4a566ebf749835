/**
 * Runs system commands: streams their lines, ends them on time with their whole process tree, bounds what their output
 * may cost, and reports exactly what happened. Output never leaves the machine.
 *
 * @packageDocumentation
 */
/// <reference types="node" />
import { EventEmitter } from 'node:events';

/** A line for a shell, with everything a shell line may do. It may have any length. */
export interface ShellCommand {
  /** Marks this kind of command. */
  type: 'shell';
  /** The line. */
  command: string;
  /** A path, a file URL, or a name on the child's `PATH`. Default: `/bin/bash`, else `/bin/sh`; on Windows `cmd.exe`. */
  shell?: string | URL | null | undefined;
  /**
   * Whether the line ends with the first command that fails, also within a pipeline, and at an unset variable: `errexit`, `nounset` and
   * `pipefail` of bash. Any other `shell` is refused; without a bash it is `SPAWN_FAILED`. Default: false.
   */
  strict?: boolean | null | undefined;
}

/** A program and its arguments; no shell ever sees them. */
export interface ExecCommand {
  /** Marks this kind of command. */
  type: 'exec';
  /** A path (relative ones start at `workingDir`), a file URL, or a name on the child's `PATH`. */
  program: string | URL;
  /** Arguments after the program's own name. Default: none. */
  args?: readonly string[] | null | undefined;
}

/** A script file, given to its interpreter as a file. */
export interface ScriptCommand {
  /** Marks this kind of command. */
  type: 'script';
  /** The file, as a path or a file URL; a relative path starts at `workingDir`. */
  path: string | URL;
  /** A path, a file URL, or a name. Default: the script's `#!` line, else its extension. */
  interpreter?: string | URL | null | undefined;
  /** Arguments for the script. Default: none. */
  args?: readonly string[] | null | undefined;
}

/** The AWS command line, its pager off and its output untouched. */
export interface AwsCliCommand {
  /** Marks this kind of command. */
  type: 'aws_cli';
  /** As in `aws <service>`: `s3`, `sts`, `ec2`. */
  service: string;
  /** As in `aws s3 <command>`: `ls`, `describe-instances`. */
  command: string;
  /** Arguments after the command. Default: none. */
  args?: readonly string[] | null | undefined;
  /** `--profile`. */
  profile?: string | null | undefined;
  /** `--region`. */
  region?: string | null | undefined;
}

/** What to run. */
export type Command = ShellCommand | ExecCommand | ScriptCommand | AwsCliCommand;

/** A JSON value. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/**
 * What the caller says about an execution: any JSON. The engine keeps all of it; listings show and filter by `label` and `source` and
 * show `conversationId`; the steps of a plan are named by their `label`.
 */
export interface ExecutionMetadata {
  /** The origin of the request: a playbook, a person, a schedule. */
  source?: string | undefined;
  /** The conversation it belongs to. */
  conversationId?: string | undefined;
  /** A short name for people. */
  label?: string | undefined;
  /** Free tags. */
  tags?: string[] | undefined;
  /** Whatever else the caller wants to have with the execution. */
  [key: string]: Json | undefined;
}

/** What to run: data, validated strictly. `null` and `undefined` mean absent. */
export interface ExecutionRequest {
  /** A UUID. Default: a fresh one. */
  id?: string | null | undefined;
  /** What to run. */
  command: Command;
  /** Variables on top of what `inheritEnv` gives, inherited properties included. `null` and `undefined` remove one that would be inherited. */
  env?: Readonly<Record<string, string | null | undefined>> | null | undefined;
  /** Where to run. Default: the host's working directory at the call, at which a relative path starts too. */
  workingDir?: string | URL | null | undefined;
  /** Milliseconds from the attempt to spawn to the end, 1 to `maxTimeoutMs`. Default: `defaultTimeoutMs`. */
  timeoutMs?: number | null | undefined;
  /**
   * An absolute path, or a file URL, for a log, besides the engine's own: made for this user only, or appended to if a plain file of this
   * user's is there. Links, pipes and devices are refused with `LOG_FAILED`.
   */
  outputLogPath?: string | URL | null | undefined;
  /** Carried to the result and to listings. */
  metadata?: ExecutionMetadata | null | undefined;
}

/** How the environment of a login shell is read. */
export interface LoginShellOptions {
  /** bash, zsh, fish, or another one that takes their options. Default: the user's, by `SHELL`, else by the system. */
  shell?: string | null | undefined;
  /** Milliseconds that its start files may take, at least 1. Default: 10 000. */
  timeoutMs?: number | null | undefined;
}

/** Which part of an output is read. */
export interface ReadOutputOptions {
  /** Default: `stdout`. */
  stream?: 'stdout' | 'stderr' | null | undefined;
  /** Only so many bytes of its end. Default: all of it. */
  tailBytes?: number | null | undefined;
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

/**
 * What happens to output above `maxOutputSizeBytes`: keep a part of it; end the execution with `OUTPUT_SIZE_EXCEEDED`; or keep a part
 * of it and all of it in a file that goes with the record.
 */
export type OversizedOutputStrategy = 'truncateWithWarning' | 'failExecution' | 'streamToFile';

/**
 * When a line becomes an event: in pieces, so that an unfinished line is shown after 200 ms of silence; or whole, when it is complete.
 * Above `maxLineBytes` it comes in pieces all the same.
 */
export type LineMode = 'pieces' | 'whole';

/** Which part of too much output is kept; `both` is half from either end. */
export type TruncateKeep = 'head' | 'tail' | 'both';

/** What becomes of background processes that outlive their command: they keep running, or are ended like a cancelled tree. */
export type Leftovers = 'leave' | 'kill';

/** As what output comes: text in which bytes that are not UTF-8 are U+FFFD, or Buffers with the exact bytes. */
export type Encoding = 'utf8' | 'buffer';
/**
 * What the system limits for each process of a command (Linux); elsewhere a limit is `INVALID_REQUEST`. One that the system refuses, since
 * it is above the hard limit of the host, is `SPAWN_FAILED`, and nothing is started.
 */
export interface ResourceLimits {
  /** Open descriptors of one process, at least 1. One more fails with `EMFILE`. */
  openFiles?: number | null | undefined;
  /** Processes and threads of the user, in all, at least 1. One more fails with `EAGAIN`. It does not hold for root. */
  processes?: number | null | undefined;
  /** Bytes of the address space of one process, at least 1. Allocations beyond fail. */
  memoryBytes?: number | null | undefined;
  /** Seconds of processor time of one process, at least 1. Then it gets SIGXCPU, and SIGKILL a second later. */
  cpuSeconds?: number | null | undefined;
  /** Bytes of a file that a process writes. A write beyond gives SIGXFSZ. */
  fileSizeBytes?: number | null | undefined;
}

/** When a failed command is run again. A cancel, an abort, a shutdown and the end of a plan always end it for good. */
export interface RetryOptions {
  /** Runs in all, the first one included: 1 to 1 000. */
  attempts: number;
  /** The longest pause after the first failure, in ms; it doubles each time, and a random half of it is taken off. Default: 1 000. */
  backoffMs?: number | null | undefined;
  /** The longest pause, in ms. Default: 30 000. */
  maxBackoffMs?: number | null | undefined;
  /** What is retried: kinds of failure, or single exit codes. Default: all four kinds. */
  on?: readonly ('exit' | 'signal' | 'timeout' | 'spawn' | number)[] | null | undefined;
  /**
   * Retries only a failure whose output, in the last 64 KiB of either stream, has one of these: texts as they are, and regular expressions
   * with the flags i, m, s and u, without look-around, back-references and `\p{…}`. `{ regex }` is an expression in the syntax of the crate
   * `regex-lite`, as files have it. Default: any failure.
   */
  onOutput?: OutputPattern | readonly OutputPattern[] | null | undefined;
}

/** What output is searched for. */
export type OutputPattern = string | RegExp | { readonly regex: string };

/** A part of what a child reads: text, or bytes of whatever kind. */
export type InputChunk = string | NodeJS.ArrayBufferView | ArrayBuffer | SharedArrayBuffer;

/** Whether there is a terminal: `true` is 80 × 24; `columns` and `rows` are 1 to 65 535 each. */
export type TerminalMode = boolean | { readonly columns?: number | null | undefined; readonly rows?: number | null | undefined };

/** How this host runs a request: policy, never taken off a wire. */
export interface ExecutionOptions {
  /** Ends the execution when it fires (status `cancelled`, reason `aborted`). */
  signal?: AbortSignal | null | undefined;
  /**
   * What the child reads: text, bytes, what an iterable or a stream gives as the child reads it, what {@link ExecutionEngine.write}
   * gives (`'open'`), or the host's own standard input (`'inherit'`).
   * A Readable that only the command reads is destroyed when the command wants no more; one that other code still uses, such as the
   * request of an HTTP server, is only not read any more. Default: nothing, end of file at once.
   */
  stdin?:
    | InputChunk
    | Iterable<InputChunk>
    | AsyncIterable<InputChunk>
    | NodeJS.ReadableStream
    | Blob
    | 'open'
    | 'inherit'
    | null
    | undefined;
  /**
   * The same data as `stdin`, for text that is not known in advance: here `'open'` and `'inherit'` are text as any other. Both options
   * together are refused.
   */
  input?: InputChunk | Iterable<InputChunk> | AsyncIterable<InputChunk> | NodeJS.ReadableStream | Blob | null | undefined;
  /**
   * Runs the command in a terminal of its own: its controlling terminal, and its only stream. `true` is 80 × 24; `columns` and `rows` are 1 to
   * 65 535 each. Its input is open for {@link ExecutionEngine.write} unless `stdin` or `input` gives data. Not on Windows.
   * `false`: none, whatever the engine has. Default: the engine's `terminal`, which is none.
   */
  terminal?: TerminalMode | null | undefined;
  /** Ends the execution after so many milliseconds without output. Default: the engine's `idleTimeoutMs`. */
  idleTimeoutMs?: number | null | undefined;
  /** Milliseconds between the stop signal and SIGKILL. Default: the engine's `killGraceMs`. */
  killGraceMs?: number | null | undefined;
  /** The signal that asks the processes of the tree to end. Default: the engine's `stopSignal`. */
  stopSignal?: StopSignal | null | undefined;
  /** Which processes get that signal first. Default: the engine's `stopOrder`. */
  stopOrder?: StopOrder | null | undefined;
  /**
   * Whether a child that opts out (`ESCHER_EXECUTION_ID=detached`, in a session of its own) is left alone when its tree is ended.
   * Default: the engine's `allowDetached`.
   */
  allowDetached?: boolean | null | undefined;
  /**
   * Whether standard error goes into standard output's pipe, so that the order between them is exact. Default: the engine's
   * `mergeOutput`, which is false.
   */
  mergeOutput?: boolean | null | undefined;
  /** Whether output lines become events. Default: the engine's `streamOutput`. */
  streamOutput?: boolean | null | undefined;
  /**
   * Whether an unfinished line is shown after 200 ms of silence (`pieces`), or each line only when it is complete (`whole`). Default:
   * the engine's `lines`.
   */
  lines?: LineMode | null | undefined;
  /** Bytes of output kept in memory for each stream. Default: the engine's `maxOutputSizeBytes`. */
  maxOutputSizeBytes?: number | null | undefined;
  /** What happens to more. Default: the engine's `oversizedOutputStrategy`. */
  oversizedOutputStrategy?: OversizedOutputStrategy | null | undefined;
  /** Which part of too much output is kept. Default: the engine's `truncateKeep`. */
  truncateKeep?: TruncateKeep | null | undefined;
  /**
   * How long an output pipe may be silent after the command has exited, in ms; at most 2 s in all. Default: the engine's
   * `drainTimeoutMs`.
   */
  drainTimeoutMs?: number | null | undefined;
  /** Default: the engine's `inheritEnv`. */
  inheritEnv?: InheritEnv | null | undefined;
  /** Globs of names inherited on top of `inheritEnv`; added to the engine's. */
  envAllow?: readonly string[] | null | undefined;
  /** Globs of names removed last, which a request may not set either; added to the engine's. */
  envDeny?: readonly string[] | null | undefined;
  /**
   * Strings that are masked (`***`) in whatever leaves the engine, as they are and in Base64, URL and JSON form; besides the
   * engine's own. At least 6 bytes each.
   */
  secrets?: readonly string[] | null | undefined;
  /** Whether the values of variables named by `envSecretPatterns` are masked too. Default: the engine's `maskEnvSecrets`. */
  maskEnvSecrets?: boolean | null | undefined;
  /** What becomes of background processes that outlive their command. Default: the engine's `leftovers`, which is `leave`. */
  leftovers?: Leftovers | null | undefined;
  /**
   * What the system limits for the processes of the command (Linux), in the place of all limits that the engine has; `{}` for none. Default: the
   * engine's `limits`.
   */
  limits?: ResourceLimits | null | undefined;
  /** Higher starts first among the queued. A whole number, default 0. */
  priority?: number | null | undefined;
  /**
   * Names of groups, 64 at most, of 1 to 256 bytes each. At most `groupLimits[name]` executions of a group run at once, 1 if it is not
   * listed; the others wait, without a slot. They are in the place of those that the engine has; `[]` for none. Default: the engine's `groups`.
   */
  groups?: readonly string[] | null | undefined;
  /** Runs the command again when it fails; `{ attempts: 1 }` does not. Default: the engine's `retry`, which is none. */
  retry?: RetryOptions | null | undefined;
  /** Output as text, or as Buffers with the exact bytes. Default: the engine's `encoding`. */
  encoding?: Encoding | null | undefined;
  /**
   * The variables that the child inherits from, by the same rules. Default: the engine's `hostEnv`, which is `process.env` at the call;
   * give `process.env` where the engine has others.
   */
  hostEnv?: Readonly<Record<string, string | null | undefined>> | null | undefined;
}

/** In which order the commands of a plan run. */
export type ExecutionStrategy = SerialStrategy | ParallelStrategy | DependencyGraphStrategy;

/** One after the other. */
export interface SerialStrategy {
  /** Marks this strategy. */
  type: 'serial';
  /** Whether a step that does not complete is the last one. Default: true. */
  stopOnError?: boolean | null | undefined;
}

/** All at once. */
export interface ParallelStrategy {
  /** Marks this strategy. */
  type: 'parallel';
  /** At most so many of this plan at once. Default: as many as the engine has slots. */
  maxConcurrency?: number | null | undefined;
}

/** Each as soon as those that it depends on have completed. */
export interface DependencyGraphStrategy {
  /** Marks this strategy. */
  type: 'dependency_graph';
  /** For the index of a command the indexes of those that must complete before it. */
  dependencies: Readonly<Record<number, readonly number[]>>;
}

/** A request as a step of a plan. */
export interface PlanStepRequest extends Omit<ExecutionRequest, 'env'> {
  /**
   * As in other requests; `{ from: step }` is the trimmed standard output of another step, by its index or its id, on which this one depends
   * then. Output that is no UTF-8, holds NUL, a masked secret or more than 128 KiB, or was truncated, fails this step (`INVALID_REQUEST`).
   */
  env?: Readonly<Record<string, string | { readonly from: number | string } | null | undefined>> | null | undefined;
}

/** A small set of commands and the order between them. A step is a command by its index. */
export interface ExecutionPlan {
  /** A UUID. Default: a fresh one. */
  id?: string | null | undefined;
  /** What it is for, in the words of people. */
  description: string;
  /** In which order the commands run. */
  strategy: ExecutionStrategy;
  /** 1 to 100 000 commands. */
  commands: readonly PlanStepRequest[];
  /** Carried to the result. */
  metadata?: ExecutionMetadata | null | undefined;
}

/** How this host runs one step of a plan. */
export interface PlanStepOptions extends ExecutionOptions {
  /**
   * After which ends of its dependencies the step runs, which in a serial plan are all steps before it: when all completed; when at least one
   * did not complete; or in any case, also after a cancel, an abort or the deadline of the plan, and not after `shutdown`. Default: `success`.
   */
  when?: 'success' | 'failure' | 'always' | null | undefined;
}

/** How this host runs a plan: options for all its steps, and what is the plan's own. Its `signal` ends the whole plan. */
export interface PlanOptions extends ExecutionOptions {
  /** A step that does not complete keeps no other from running. Default: false. */
  continueOnError?: boolean | null | undefined;
  /** Ends the plan after so many milliseconds (status `timeout`). Default: never. */
  deadlineMs?: number | null | undefined;
  /** Options of single steps, by index, on top of those for all. */
  steps?: Readonly<Record<number, PlanStepOptions>> | null | undefined;
}

/** The configuration of an engine. */
export interface ExecutionConfig {
  /** Timeout of a request that names none, in ms. Default: 300 000, or `maxTimeoutMs` if that is less. */
  defaultTimeoutMs?: number | null | undefined;
  /** The longest timeout that a request may have, in ms. Default: 3 600 000. */
  maxTimeoutMs?: number | null | undefined;
  /** Whether output lines become events. Default: true. */
  streamOutput?: boolean | null | undefined;
  /**
   * Whether an unfinished line is shown after 200 ms of silence (`pieces`), or each line only when it is complete (`whole`). Default:
   * `pieces`.
   */
  lines?: LineMode | null | undefined;
  /** Whether standard error goes into standard output's pipe, so that the order between them is exact. Default: false. */
  mergeOutput?: boolean | null | undefined;
  /** Output as text, or as Buffers with the exact bytes. Default: `utf8`. */
  encoding?: Encoding | null | undefined;
  /** How many commands run at once. Default: 100. */
  maxConcurrentExecutions?: number | null | undefined;
  /** When so many run: wait, or be refused with `CONCURRENCY_LIMIT_REACHED`. Default: `queue`. */
  concurrencyPolicy?: 'queue' | 'reject' | null | undefined;
  /** How many may wait; one more is refused with `QUEUE_FULL`. Default: 10 000. */
  maxQueuedExecutions?: number | null | undefined;
  /**
   * How many executions of a group run at once, by globs of names of groups: each name that matches has this limit for itself. A name that
   * is listed as it is comes first, then the longest glob. 1 for a group that none matches. Default: `{}`.
   */
  groupLimits?: Readonly<Record<string, number>> | null | undefined;
  /** Names of groups of each execution whose options name none. Default: none. */
  groups?: readonly string[] | null | undefined;
  /** The longest wait for a slot and for groups, in ms. Default: no bound. */
  queueTimeoutMs?: number | null | undefined;
  /** Between the stop signal and SIGKILL, in ms. 0: SIGKILL at once. Default: 5 000. */
  killGraceMs?: number | null | undefined;
  /** The signal that asks the processes of an execution to end. Default: `'SIGTERM'`. */
  stopSignal?: StopSignal | null | undefined;
  /** Which processes get the stop signal first. Default: `'tree'`. */
  stopOrder?: StopOrder | null | undefined;
  /** Between the stop signal and SIGKILL when the host exits or is killed, in ms. Default: the `killGraceMs` of each execution. */
  hostExitGraceMs?: number | null | undefined;
  /**
   * Whether a child that opts out (`ESCHER_EXECUTION_ID=detached`, in a session of its own) is left alone when its execution is
   * ended. Default: false.
   */
  allowDetached?: boolean | null | undefined;
  /** Whether each execution gets a control group of its own where the host may make some (Linux, cgroup v2). Default: true. */
  controlGroups?: boolean | null | undefined;
  /** Ends an execution after so many ms without output. Default: never. */
  idleTimeoutMs?: number | null | undefined;
  /** When a failed command is run again. Default: never. */
  retry?: RetryOptions | null | undefined;
  /** What the system limits for the processes of each command (Linux). Default: what it limits for the host. */
  limits?: ResourceLimits | null | undefined;
  /** Whether each command runs in a terminal of its own. Default: false. */
  terminal?: TerminalMode | null | undefined;
  /** How long an output pipe may be silent after the command has exited, in ms. Default: 500; at most 2 s in all. */
  drainTimeoutMs?: number | null | undefined;
  /** What becomes of background processes that outlive their command. Default: `leave`. */
  leftovers?: Leftovers | null | undefined;
  /** The longest line in one piece, in bytes. Default: 65 536. */
  maxLineBytes?: number | null | undefined;
  /** How long a command must neither use the processor nor write, in ms, before the event `waiting`. Default: 1 000. */
  waitingAfterMs?: number | null | undefined;
  /** Bytes of output kept in memory for each stream. Default: 10 MiB. */
  maxOutputSizeBytes?: number | null | undefined;
  /**
   * What happens to more: keep a part of it; end the execution with `OUTPUT_SIZE_EXCEEDED`; or keep a part of it and all of it
   * in a file that goes with the record. Default: `truncateWithWarning`.
   */
  oversizedOutputStrategy?: OversizedOutputStrategy | null | undefined;
  /** An older word for `oversizedOutputStrategy`: `false` is `failExecution`, unless a strategy is named. Default: true. */
  truncateLargeOutput?: boolean | null | undefined;
  /** Which part of too much output is kept. Default: `both` ends. */
  truncateKeep?: TruncateKeep | null | undefined;
  /** An absolute path: where `streamToFile` writes. Default: a folder of this user under the temp folder. */
  overflowDir?: string | null | undefined;
  /** The largest such file, in bytes. Default: 1 GiB. */
  maxOverflowFileBytes?: number | null | undefined;
  /** Bytes in all such files of this engine. Default: 4 GiB. */
  maxOverflowTotalBytes?: number | null | undefined;
  /** Such files and logs stop growing before the disk has less than so many bytes left. Default: 512 MiB. */
  minFreeDiskBytes?: number | null | undefined;
  /** An absolute path: where each execution gets a log, named by its id. Default: no logs. */
  logDir?: string | null | undefined;
  /** What is in logs: the raw bytes as they came, or a JSON object for each line. Default: `raw`. */
  logFormat?: 'raw' | 'jsonl' | null | undefined;
  /** Whether logs in `logDir` stay when their record leaves. A file at `outputLogPath` always does. Default: true. */
  keepLogs?: boolean | null | undefined;
  /** The largest log, in bytes. What is more is counted as lost (`logLostBytes`). Default: 1 GiB. */
  maxLogFileBytes?: number | null | undefined;
  /** Bytes in all logs of executions that have a record. Default: 16 GiB. */
  maxLogTotalBytes?: number | null | undefined;
  /** Strings that are masked (`***`) in whatever leaves the engine. At least 6 bytes each. Default: none. */
  secrets?: readonly string[] | null | undefined;
  /** Whether the values of variables named by `envSecretPatterns` are masked too. Default: false. */
  maskEnvSecrets?: boolean | null | undefined;
  /**
   * Globs of the names of variables whose values are secret. Default: `*TOKEN* *SECRET* *PASSWORD* *PASSWD* *CREDENTIAL*
   * *PRIVATE_KEY* *API_KEY* AWS_*KEY*`.
   */
  envSecretPatterns?: readonly string[] | null | undefined;
  /**
   * Whether a guardian process ends what runs when the host ends, however it ends. Default: true. Windows needs none, and
   * ends what runs in any case.
   */
  guardian?: boolean | null | undefined;
  /** The variables that a child inherits from, by the same rules. Default: `process.env` at the call. */
  hostEnv?: Readonly<Record<string, string | null | undefined>> | null | undefined;
  /** Which of the host's variables a child starts with. Default: `all`. */
  inheritEnv?: InheritEnv | null | undefined;
  /** Globs of names inherited on top. Default: none. */
  envAllow?: readonly string[] | null | undefined;
  /** Globs of names no child gets. Default: none. */
  envDeny?: readonly string[] | null | undefined;
  /** The most records of ended executions. Default: 1 000. */
  maxInMemoryExecutions?: number | null | undefined;
  /** How long these are kept, in seconds. Default: 3 600. */
  executionRetentionSecs?: number | null | undefined;
  /** Bytes of output, metadata, errors and diagnoses in all of them. Default: 256 MiB. */
  maxRetainedOutputBytes?: number | null | undefined;
  /** The longest metadata of a request or a plan, in bytes of JSON text. More is refused. Default: 65 536 (64 KiB). */
  maxMetadataBytes?: number | null | undefined;
  /** Whether the engine removes old records without a call. If not, only `cleanup()` removes them. Default: true. */
  enableAutoCleanup?: boolean | null | undefined;
  /** The least time between two searches for records that are too old, in seconds. No search takes place while no record can be. Default: 60. */
  cleanupIntervalSecs?: number | null | undefined;
}

/** Every field of a configuration with its value in force; what has no bound is `null`. */
export type ResolvedConfig = {
  readonly [K in keyof ExecutionConfig]-?: K extends
    | 'queueTimeoutMs'
    | 'idleTimeoutMs'
    | 'hostExitGraceMs'
    | 'overflowDir'
    | 'logDir'
    | 'retry'
    | 'hostEnv'
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
  | 'INTERNAL'
  | 'ADDON_NOT_LOADED'
  | 'PERMISSION_DENIED';

/** What kept the engine from doing its part. */
export interface ErrorInfo {
  /** Which error it is: the name is stable. */
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
  /** How many processes there were beyond those that `processes` has. Absent when there were none. */
  moreProcesses?: number;
  /** Its processes, 256 at most, with what they were doing. */
  processes: {
    /** Its process id. */
    pid: number;
    /** The process id of its parent. */
    parent: number;
    /** Its program and arguments, 1 024 characters at most; its name in brackets while it has none. */
    command: string;
    /** As in `ps`: `R` runs, `S` and `D` wait, `T` is stopped. */
    state: string;
    /** Milliseconds of processor time so far. */
    cpuMs: number;
    /** What it is blocked reading, if it is one of these. */
    waitsFor?: 'stdin' | 'terminal';
  }[];
}

/** What the engine had to end. */
interface Killed {
  /** The processes that were alive when it began. */
  pids: number[];
  /** What was done, in order, such as `SIGTERM to the group`. */
  mechanism: string;
}

/** Exactly what happened. `Output` is `Buffer` with `encoding: 'buffer'`. */
export interface ExecutionResult<Output extends string | Buffer = string> {
  /** The id of the execution. */
  id: string;
  /** A final status: `completed`, `failed`, `cancelled` or `timeout`. */
  status: 'completed' | 'failed' | 'cancelled' | 'timeout';
  /** Whether the status is `completed`: exit code 0, by itself. */
  success: boolean;
  /** The exit code; `null` when a signal ended the command or it never ran. */
  exitCode: number | null;
  /** The name of the signal that ended it, such as `SIGKILL`; else `null`. */
  signal: string | null;
  /** Exactly what it wrote to standard output, up to `maxOutputSizeBytes`. */
  stdout: Output;
  /** Exactly what it wrote to standard error, up to `maxOutputSizeBytes`. */
  stderr: Output;
  /** Milliseconds from spawn to the end, on a monotonic clock; 0 when it never ran. */
  durationMs: number;
  /** Milliseconds from acceptance, or from the end of the pause before this attempt, to spawn. */
  queuedMs: number;
  /** When it was spawned, or accepted if it never was. */
  startedAt: Date;
  /** When it ended, by the clock of the system. */
  completedAt: Date;
  /** The process id; `null` when it never ran. */
  pid: number | null;
  /** Which attempt this was, from 1. All other fields describe this attempt. */
  attempt: number;
  /** The attempts before it, oldest first, if there were any. */
  retries?: FailedAttempt[];
  /** Set when the engine could not do its part. */
  error?: ErrorInfo;
  /** Why it ended; not set after `INTERNAL` and `LOG_FAILED`. */
  reason?: Reason;
  /**
   * With the reason `aborted`, the `reason` of the abort signal, as it was given to `abort()`. Absent when the standard input broke off.
   * `getResult` and a later wait know it for the last 1 000 aborted executions of an engine.
   */
  abortReason?: unknown;
  /** Bytes written to standard output, kept or not. */
  stdoutBytes: number;
  /** Bytes written to standard error, kept or not. */
  stderrBytes: number;
  /** Whether `stdout` lacks some of them. */
  stdoutTruncated: boolean;
  /** Whether `stderr` lacks some of them. */
  stderrTruncated: boolean;
  /**
   * All of standard output, when it was longer than its cap and the strategy is `streamToFile`: from its first byte, to its end or to the
   * bound that it met. The file goes with the record.
   */
  stdoutOverflowFile?: string;
  /** The same of standard error. */
  stderrOverflowFile?: string;
  /**
   * Its log: at `outputLogPath` if the request named one, else in `logDir`. Secrets in it are masked: `getLogPath` gives the path itself.
   */
  logPath?: string;
  /** Bytes that overflow files should have got and did not, because a bound or the disk forbade it. */
  overflowLostBytes: number;
  /** Bytes that a log should have got and did not. */
  logLostBytes: number;
  /** Whether a background process still held an output pipe when the engine stopped reading. */
  leaked: boolean;
  /** What the engine had to end. */
  killed?: Killed;
  /** What it was doing when its time was up (`timeout`, `idle_timeout`). */
  diagnosis?: Diagnosis;
  /** Milliseconds of processor time in user mode: the command and the children it waited for. */
  cpuUserMs: number;
  /** Milliseconds of processor time that the system spent for them. */
  cpuSystemMs: number;
  /**
   * The most memory that the largest process of the command had, in bytes, if it is known. Linux counts the memory of the host for a moment
   * as that of the command, so that it is not known of a command that needs less than the host.
   */
  peakMemoryBytes?: number;
  /** As in the request. */
  metadata: ExecutionMetadata;
}

/** An attempt that failed and was followed by another one. */
export interface FailedAttempt {
  /** Which one it was, from 1. */
  attempt: number;
  /** How it ended. */
  status: 'failed' | 'timeout';
  /** `null` when a signal ended it or it never ran. */
  exitCode: number | null;
  /** The name of the signal that ended it, else `null`. */
  signal: string | null;
  /** Why it ended. */
  reason: Reason;
  /** Set when it could not be started. */
  error?: ErrorInfo;
  /** When it was spawned, or accepted if it never was. */
  startedAt: Date;
  /** Milliseconds that it waited for a slot. */
  queuedMs: number;
  /** Milliseconds from spawn to the end. */
  durationMs: number;
  /** Milliseconds of the pause after it. */
  delayMs: number;
}

/** Why a step never began. */
export type SkipReason = 'dependency' | 'stop_on_error' | 'no_failure' | 'cancelled' | 'aborted' | 'deadline' | 'shutdown' | 'duplicate_id';

/** A step that never began. */
export interface SkippedStep {
  /** The step, by the index of its command. */
  index: number;
  /** Why it never began. */
  reason: SkipReason;
  /** The step that did not complete, for `dependency` and `stop_on_error`; else `null`. */
  because: number | null;
}

/** One step of a plan that is over. */
export interface PlanStep {
  /** The index of its command. */
  index: number;
  /** The id of its execution, which has a record unless the step was skipped. */
  id: string;
  /** The label of its request, else the command as a person would type it, at most 200 characters. */
  name: string;
  /** How it ended; `skipped` when it never began. */
  status: ExecutionResult['status'] | 'skipped';
  /** The steps that it waited for. */
  dependsOn: number[];
  /** After which ends of these it was to run; absent when it is `success`. */
  when?: 'failure' | 'always';
  /** The variables that are outputs of other steps, by name; absent when there are none. */
  inputs?: {
    /** The name of the variable. */
    name: string;
    /** The index of the step that wrote it. */
    from: number;
  }[];
}

/** How many steps of a plan ended in which way. */
export interface PlanStats {
  /** All steps. */
  total: number;
  /** Steps with the status `completed`. */
  completed: number;
  /** Steps with the status `failed`. */
  failed: number;
  /** Steps with the status `cancelled`. */
  cancelled: number;
  /** Steps with the status `timeout`. */
  timeout: number;
  /** Steps that never began. */
  skipped: number;
  /** Attempts beyond the first of each step. */
  retries: number;
}

/** What came of a plan. */
export interface PlanExecutionResult<Output extends string | Buffer = string> {
  /** The id of the plan. */
  planId: string;
  /** `completed` when every step completed, apart from those that were skipped since there was no failure; `cancelled` or `timeout` when the plan was ended; else `failed`. */
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
  /** How many steps ended in which way. */
  stats: PlanStats;
  /** Milliseconds from acceptance to the end, on a monotonic clock. */
  totalDurationMs: number;
  /** When it was accepted. */
  startedAt: Date;
  /** When its last step was over. */
  completedAt: Date;
  /** As in the plan. */
  metadata: ExecutionMetadata;
}

/** What all events have. */
interface EventBase {
  /** The execution that it is about. */
  executionId: string;
  /** When it happened. */
  timestamp: Date;
  /** Counts the events of this execution from 0; a listener to some sees gaps only where others are. */
  sequence: number;
  /** The plan that the execution is a step of. */
  planId?: string;
  /** Its index in that plan. */
  step?: number;
}

/** Accepted, and waiting for a slot or for a group. */
export interface QueuedEvent extends EventBase {
  /** The name of the event. */
  type: 'queued';
  /** The command as a person would type it. */
  command: string;
  /** The first of its groups, by name, that has no place for it. `null`: it waits for a slot only. */
  group: string | null;
}

/** Spawned. */
export interface StartedEvent extends EventBase {
  /** The name of the event. */
  type: 'started';
  /** The command as a person would type it. */
  command: string;
  /** The process id. */
  pid: number;
}

/**
 * The command waits for input: its standard input is open and empty, it has neither written nor used the processor for `waitingAfterMs`,
 * and one of its processes is blocked in a call that reads it. Emitted once for each such wait, on Linux, with a terminal, or a `stdin`
 * that is a stream or open.
 */
export interface WaitingEvent extends EventBase {
  /** The name of the event. */
  type: 'waiting';
  /** What it waits for. */
  for: 'stdin' | 'terminal';
  /** The unfinished line that it wrote last, such as a question; else empty. */
  prompt: string;
}

/**
 * The command itself has exited. Its output may not have been read to the end, and processes that it left behind may run. In JavaScript it
 * is made only while the engine has a listener for `exited`; then `event` and streams get it too.
 */
export interface ExitedEvent extends EventBase {
  /** The name of the event. */
  type: 'exited';
  /** The exit code; `null` when a signal ended the command. */
  exitCode: number | null;
  /** The name of the signal that ended it. */
  signal: string | null;
}

/** The execution continues without something that the engine guarantees. What all executions lack is reported once by each engine. */
export interface DegradedEvent extends EventBase {
  /** The name of the event. */
  type: 'degraded';
  /** What is missing, and why. */
  message: string;
}

/** An attempt failed, and another one follows after a pause. */
export interface RetryEvent<Output extends string | Buffer = string> extends EventBase {
  /** The name of the event. */
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

/** Progress of a plan: emitted when a step begins and when a step ends. */
export interface ProgressEvent<Output extends string | Buffer = string> extends EventBase {
  /** The name of the event. */
  type: 'progress';
  /** The plan, as `executionId`: these events have a sequence of their own. */
  planId: string;
  /** Steps that are over, the skipped ones included: at the end it is `total`. */
  completed: number;
  /** Steps that began and did not complete. */
  failed: number;
  /** Steps that never began, and will not begin. */
  skipped: number;
  /** All steps of the plan. */
  total: number;
  /** The command of the step that began last among those that run. */
  currentCommand: string | null;
  /** After which ends of its dependencies that step runs: `success`, `failure` or `always`. */
  currentWhen: string | null;
  /** How the plan ended, in its last event. */
  status: 'running' | ExecutionResult['status'];
  /** What came of it, in its last event. Made when first read. */
  readonly result?: PlanExecutionResult<Output>;
}

/** A line without its end, or a piece of one: a line is its pieces up to the first without `partial` or `continued`. */
export interface OutputEvent<T extends 'stdout' | 'stderr' = 'stdout' | 'stderr', Output extends string | Buffer = string>
  extends EventBase {
  /** The stream that the line came from. */
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

/** What a command wrote to its terminal, with its control sequences. The lines of it, without these, are events `stdout`. */
export interface DataEvent<Output extends string | Buffer = string> extends EventBase {
  /** The name of the event. */
  type: 'data';
  /** Whole characters, where bytes that are not UTF-8 are U+FFFD; with `encoding: 'buffer'` the bytes. */
  data: Output;
}

/** The end of an execution: exactly one of these, and nothing after it. */
export interface EndEvent<T extends ExecutionResult['status'] = ExecutionResult['status'], Output extends string | Buffer = string>
  extends EventBase {
  /** The final status. */
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
  | WaitingEvent
  | ExitedEvent
  | DegradedEvent
  | RetryEvent<Output>
  | ProgressEvent<Output>
  | OutputEvent<'stdout', Output>
  | OutputEvent<'stderr', Output>
  | DataEvent<Output>
  | EndEvent<'completed', Output>
  | EndEvent<'failed', Output>
  | EndEvent<'cancelled', Output>
  | EndEvent<'timeout', Output>;

/** The events of an engine and what their listeners get. */
export interface ExecutionEvents<Output extends string | Buffer = string> {
  /** Accepted, and waiting for a slot or for a group. */
  queued: [QueuedEvent];
  /** Spawned. */
  started: [StartedEvent];
  /**
   * The command waits for input: its standard input is open and empty, it has neither written nor used the processor for `waitingAfterMs`,
   * and one of its processes is blocked in a call that reads it. Emitted once for each such wait, on Linux, with a terminal, or a `stdin`
   * that is a stream or open.
   */
  waiting: [WaitingEvent];
  /**
   * The command itself has exited. Its output may not have been read to the end, and processes that it left behind may run. In JavaScript
   * it is made only while the engine has a listener for `exited`; then `event` and streams get it too.
   */
  exited: [ExitedEvent];
  /** The execution continues without something that the engine guarantees. What all executions lack is reported once by each engine. */
  degraded: [DegradedEvent];
  /** An attempt failed, and another one follows after a pause. */
  retry: [RetryEvent<Output>];
  /** Progress of a plan: emitted when a step begins and when a step ends. The last one of a plan has its result. */
  progress: [ProgressEvent<Output>];
  /** A line on standard output, or a piece of one: a line is its pieces up to the first that is neither `partial` nor `continued`. */
  stdout: [OutputEvent<'stdout', Output>];
  /** A line on standard error, or a piece of one, as on standard output. */
  stderr: [OutputEvent<'stderr', Output>];
  /** What a command wrote to its terminal, with its control sequences. The lines of it, without these, are events `stdout`. */
  data: [DataEvent<Output>];
  /** Exited with code 0. */
  completed: [EndEvent<'completed', Output>];
  /** Exited otherwise, or the engine could not do its part. */
  failed: [EndEvent<'failed', Output>];
  /** Ended on request. */
  cancelled: [EndEvent<'cancelled', Output>];
  /** Ended because a time was up. */
  timeout: [EndEvent<'timeout', Output>];
  /** All of them. */
  event: [ExecutionEvent<Output>];
}

/** What became of one request of {@link ExecutionEngine.executeMany}, in the form of `Promise.allSettled`. */
export type SubmissionOutcome =
  | {
      /** It was accepted. */
      status: 'fulfilled';
      /** The id of the execution. */
      value: string;
    }
  | {
      /** It was refused; nothing runs. */
      status: 'rejected';
      /** Why: as `execute` rejects. */
      reason: ExecutionError;
    };

/** The events of one execution at the consumer's pace: a slow consumer slows the child, `break` ends it. */
export interface ExecutionStream<Output extends string | Buffer = string> extends AsyncIterable<ExecutionEvent<Output>> {
  /** The id, once the request was accepted. */
  readonly id: Promise<string>;
  /** As from `waitForCompletion`. Unread lines stop the child when the buffers are full, so read them to the end or `break`. */
  readonly result: Promise<ExecutionResult<Output>>;
  /** Gives the events, once: a second iterator gets those that the first has not taken. */
  [Symbol.asyncIterator](): AsyncIterator<ExecutionEvent<Output>, undefined, undefined>;
  /**
   * The same events in arrays, in their order: one for each turn of the event loop in which some came, with what had arrived by then; none is
   * empty. While there is more, a turn brings about 64 KiB of output, so that other work of the loop is not delayed. A reader that comes late
   * gets all that waits, in one array. It costs one promise for each array and none for each event. It ends after the terminal event, a slow consumer
   * slows the child, and `break` ends the execution.
   *
   * A stream is read in one way, from the first read on: a read in the other one rejects with {@link ExecutionError} `INVALID_REQUEST` (field
   * `stream`), and takes nothing.
   */
  batches(): AsyncIterableIterator<ExecutionEvent<Output>[]>;
  /** Ends the execution, unless it is over, and resolves when its tree is gone: `await using stream = engine.stream(…)`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** The events of a plan and of its steps at the consumer's pace: a slow consumer slows the children, `break` ends the plan. */
export interface PlanStream extends AsyncIterable<ExecutionEvent> {
  /** The id of the plan, once it was accepted. */
  readonly id: Promise<string>;
  /** As from `waitForPlan`. */
  readonly result: Promise<PlanExecutionResult>;
  /** Gives the events, once: a second iterator gets those that the first has not taken. */
  [Symbol.asyncIterator](): AsyncIterator<ExecutionEvent, undefined, undefined>;
  /**
   * The same events in arrays, in their order: one for each turn of the event loop in which some came, with what had arrived by then; none is
   * empty. While there is more, a turn brings about 64 KiB of output, so that other work of the loop is not delayed. A reader that comes late
   * gets all that waits, in one array. It costs one promise for each array and none for each event. It ends after the terminal event, a slow consumer
   * slows the children, and `break` ends the plan.
   *
   * A stream is read in one way, from the first read on: a read in the other one rejects with {@link ExecutionError} `INVALID_REQUEST` (field
   * `stream`), and takes nothing.
   */
  batches(): AsyncIterableIterator<ExecutionEvent[]>;
  /** Ends the plan, unless it is over, and resolves when its trees are gone. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * How one execution ended: its status, and nothing of what it ran or wrote. There is no field for output, an environment, a command or
 * the message of an error. It describes the last attempt of an execution.
 */
export interface ExecutionFeedback {
  /** The id of the execution. */
  readonly executionId: string;
  /**
   * `metadata.label`, if it is a name of 1 to 64 bytes (letters, digits, spaces, `- _ . , : / # @ + ( )`) without a secret in it; else
   * `null`.
   */
  readonly label: string | null;
  /** How it ended. */
  readonly status: 'completed' | 'failed' | 'cancelled' | 'timeout';
  /** Why it ended; `null` when a defect of the engine ended it. */
  readonly reason: Reason | null;
  /** The exit code; `null` when a signal ended the command or it never ran. */
  readonly exitCode: number | null;
  /** The name of the signal that ended it. */
  readonly signal: string | null;
  /** Milliseconds from spawn to the end. */
  readonly durationMs: number;
  /** Milliseconds from acceptance to spawn. */
  readonly queuedMs: number;
  /** How many bytes it wrote to standard output. */
  readonly stdoutBytes: number;
  /** How many bytes it wrote to standard error. */
  readonly stderrBytes: number;
}

/** What an engine is made with: its configuration, and a function of this program. */
export interface EngineConfig extends ExecutionConfig {
  /**
   * Called with the status of each execution when it ends, before its terminal event: for a host that collects how its executions end,
   * without what they ran or wrote. What it throws is an `uncaughtException`, and affects nothing else. Default: none.
   */
  feedback?: ((status: ExecutionFeedback) => void) | null | undefined;
}

/** Which executions a listing has. */
export interface ExecutionFilter {
  /** Those with this status. */
  status?: ExecutionStatus | null | undefined;
  /** `metadata.label`. */
  label?: string | null | undefined;
  /** `metadata.source`. */
  source?: string | null | undefined;
  /** Accepted at this moment or later: a Date, an ISO 8601 string, or milliseconds since 1970. */
  since?: Date | string | number | null | undefined;
  /** At most so many. */
  limit?: number | null | undefined;
}

/** One row of a listing. */
export interface ExecutionSummary {
  /** The id of the execution. */
  id: string;
  /** Where it stands. */
  status: ExecutionStatus;
  /** The command as a person would type it, at most 200 characters. */
  command: string;
  /** `metadata.label`. */
  label?: string;
  /** `metadata.source`. */
  source?: string;
  /** `metadata.conversationId`. */
  conversationId?: string;
  /** The process id, that of the last attempt; absent before it runs, and when it never ran. */
  pid?: number;
  /** When it was accepted. */
  createdAt: Date;
  /** When it ended; absent before. */
  completedAt?: Date;
  /** Absent before the end; `null` when a signal ended it or it never ran. */
  exitCode?: number | null | undefined;
  /** Milliseconds from spawn to the end; absent before. */
  durationMs?: number;
}

/** How long something took, over all executions that ran; each value is off by 1 % at most. */
export interface Percentiles {
  /** How many were measured. With 0 the rest is 0 too. */
  count: number;
  /** The mean of all values. */
  mean: number;
  /** The median. */
  p50: number;
  /** The value that 90 % do not exceed. */
  p90: number;
  /** The value that 95 % do not exceed. */
  p95: number;
  /** The value that 99 % do not exceed. */
  p99: number;
  /** The largest value. */
  max: number;
}

/** What the channels `escher:execution:start`, `:error` and `:end` of `node:diagnostics_channel` carry: one object for each execution. */
export interface ExecutionTrace {
  /** The id of the execution. */
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
  /** Ended with the status `completed`. */
  completed: number;
  /** Ended with the status `failed`. */
  failed: number;
  /** Ended with the status `cancelled`. */
  cancelled: number;
  /** Ended with the status `timeout`. */
  timeout: number;
  /** Bytes read from the ended executions. */
  stdoutBytes: number;
  /** Bytes of standard error read from the ended executions. */
  stderrBytes: number;
  /** Lines (pieces) found in them. */
  lines: number;
  /** Times that a spawn had to wait because the machine had no resources for another process. */
  backoffs: number;
  /** Executions that wait for a group now, whether or not there is a slot. */
  waitingForGroups: number;
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
  /** How many commands may run at once. */
  maxConcurrent: number;
  /** How many run now. */
  currentlyRunning: number;
  /** How many wait for a slot, or for a group. */
  currentlyPending: number;
  /** How many more may start now. */
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
export class ExecutionEngine<Output extends string | Buffer = string>
  extends EventEmitter<ExecutionEvents<Output>>
  implements AsyncDisposable
{
  /** @throws {@link ExecutionError} `INVALID_CONFIG` with the field; `SPAWN_FAILED` with `errno` when the machine has no resources for its threads. */
  constructor(config?: EngineConfig | null);

  /**
   * Makes the global engine of this thread: it runs one command at a time, the others wait.
   *
   * @throws {@link ExecutionError} `ALREADY_INITIALIZED`; `INVALID_CONFIG`, also for a `maxConcurrentExecutions` other than 1.
   */
  static initGlobal(config?: EngineConfig | null): ExecutionEngine;
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
   * The environment of the user's login shell, which reads the user's start files: what a program gets that is started in a terminal, as
   * desktop applications need it. It is an interactive login shell without a terminal. What the start files print is dropped, and so are the
   * shell's own variables (`_`, `SHLVL`, `PWD`, `OLDPWD`).
   *
   * @throws {@link ExecutionError} `INVALID_REQUEST` for a bad option, and on Windows; `SPAWN_FAILED` for a shell that cannot be started,
   * does not answer in time (`ETIMEDOUT`), or prints no environment.
   */
  static loginShellEnv(options?: LoginShellOptions | null): Promise<Record<string, string>>;
  /**
   * Reads settings from a `.toml` or `.json` file with snake_case keys, which may stand in a table `execution`. Gives only
   * what it sets.
   *
   * @throws {@link ExecutionError} `INVALID_CONFIG` with the key as `field`; the message has the file and the line. `PERMISSION_DENIED`
   * where the runtime hides the file from this process.
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
   * @throws {@link ExecutionError} `INVALID_REQUEST`, `DUPLICATE_ID`, `CONCURRENCY_LIMIT_REACHED`, `QUEUE_FULL`, `ENGINE_SHUT_DOWN`, `PERMISSION_DENIED`.
   */
  execute(request: ExecutionRequest, options?: ExecutionOptions | null): Promise<string>;
  /**
   * Accepts many requests and runs them in the background. One call of the addon takes all of them, so that it holds up the event loop for
   * a fraction of the time that a call of `execute` for each takes. Each request is accepted or refused by itself, in their order.
   *
   * @param requests An array. Together they have 1 000 000 values and 64 Mi characters at most.
   * @param options Those of each execution. `stdin` and `input` are text or bytes, which each of them gets: a stream has one reader.
   * @returns for each request, in their order, what `Promise.allSettled` gives for a call of `execute`: its id, or the error with which it was
   * refused. The `field` of an error in a request begins with its index, such as `requests[3].command.program`.
   * @throws {@link ExecutionError} `INVALID_REQUEST` for `requests` itself or an option, `PERMISSION_DENIED`; nothing was accepted then.
   */
  executeMany(requests: readonly ExecutionRequest[], options?: ExecutionOptions | null): Promise<SubmissionOutcome[]>;
  /**
   * Waits for the end of an execution; any number of callers may, before or after it. A command that fails, times out
   * or is cancelled resolves.
   *
   * @throws {@link ExecutionError} `NOT_FOUND`; with `result` `SPAWN_FAILED`, `OUTPUT_SIZE_EXCEEDED`, `LOG_FAILED` or `INTERNAL` when the engine
   * could not do its part, and `INVALID_REQUEST` (field `options.stdin` or `options.input`) when an iterable or a stream as input failed.
   */
  waitForCompletion<Found extends string | Buffer = Output>(id: string): Promise<ExecutionResult<Found>>;
  /** `execute` and `waitForCompletion`, with output as Buffers. */
  run(request: ExecutionRequest, options: ExecutionOptions & { encoding: 'buffer' }): Promise<ExecutionResult<Buffer>>;
  /** The same, with output as text. */
  run(request: ExecutionRequest, options: ExecutionOptions & { encoding: 'utf8' }): Promise<ExecutionResult<string>>;
  /** The same, with output as the engine's `encoding` says. */
  run(request: ExecutionRequest, options?: ExecutionOptions | null): Promise<ExecutionResult<Output>>;
  /** `run` that blocks this thread, with output as Buffers. */
  runSync(request: ExecutionRequest, options: ExecutionOptions & { encoding: 'buffer' }): ExecutionResult<Buffer>;
  /** The same, with output as text. */
  runSync(request: ExecutionRequest, options: ExecutionOptions & { encoding: 'utf8' }): ExecutionResult<string>;
  /**
   * Runs a command and blocks this thread until it has ended: no timer, no listener and no promise of this thread makes progress meanwhile.
   * Timeouts hold. Its events are not emitted. It does not wait for a slot, since what has the slots may need this thread.
   *
   * @throws {@link ExecutionError} What `run` rejects with; `CONCURRENCY_LIMIT_REACHED` when no slot is free; `INVALID_REQUEST` (field
   * `options.stdin`) for a stream or an iterable.
   */
  runSync(request: ExecutionRequest, options?: ExecutionOptions | null): ExecutionResult<Output>;
  /** Runs a request and gives its events at the consumer's pace, with output as Buffers. */
  stream(request: ExecutionRequest, options: ExecutionOptions & { encoding: 'buffer' }): ExecutionStream<Buffer>;
  /** The same, with output as text. */
  stream(request: ExecutionRequest, options: ExecutionOptions & { encoding: 'utf8' }): ExecutionStream<string>;
  /** The same, with output as the engine's `encoding` says. */
  stream(request: ExecutionRequest, options?: ExecutionOptions | null): ExecutionStream<Output>;
  /**
   * Ends an execution and resolves when its tree is gone; an ended one stays as it is. `graceMs` is the time from now until SIGKILL:
   * it takes effect if that is sooner than what is left of the present grace period, however often `cancel` is called.
   *
   * @throws {@link ExecutionError} `NOT_FOUND`.
   */
  cancel(id: string, options?: { graceMs?: number | null | undefined } | null): Promise<void>;
  /**
   * Writes to the standard input of a command that was started with `stdin: 'open'` or with a `terminal`. Resolves when the pipe has accepted all of it, so
   * that awaiting it gives the pace of the command. Concurrent writes keep their order. Before the command has started, it waits.
   * Do not change bytes before it has resolved.
   *
   * @throws {@link ExecutionError} `NOT_FOUND`; `INVALID_REQUEST` (`id`) when the input is not open, was ended, or is not read any more:
   * the command has closed it or has exited. That is no error of the execution. `INVALID_REQUEST` (`data`) for other data.
   */
  write(id: string, data: InputChunk): Promise<void>;
  /**
   * Ends the standard input of a command that was started with `stdin: 'open'`, after the writes before. A terminal gets its end-of-file
   * character. Does nothing if it has ended.
   *
   * @throws {@link ExecutionError} `NOT_FOUND`; `INVALID_REQUEST` (`id`) when the input was never open.
   */
  endInput(id: string): Promise<void>;
  /**
   * Changes the size of the terminal of a command, which gets SIGWINCH. Before it has started, it gets a terminal of that size. Does nothing
   * after its end.
   *
   * @throws {@link ExecutionError} `NOT_FOUND`; `INVALID_REQUEST` for another size than 1 to 65 535, and (`id`) if it has no terminal.
   */
  resize(id: string, size: { columns: number; rows: number }): Promise<void>;
  /**
   * Moves the deadline of an execution to `ms` milliseconds from now: later or sooner than it was, but not beyond `maxTimeoutMs` from its
   * start. Resolves with the new deadline. It holds for the attempt that runs, or, while the execution waits, for the next one.
   *
   * @throws {@link ExecutionError} `NOT_FOUND`; `INVALID_REQUEST` (field `ms`) for what is no time from 1 ms to 365 days, and (field `id`)
   * when the command has exited or is being ended.
   */
  extendTimeout(id: string, ms: number): Promise<Date>;
  /**
   * Masks one more secret from now on: a token that a command printed, for example. It is at least 6 bytes long. With an
   * `executionId` it is masked in that execution alone; without, in all of this engine, those that run included.
   *
   * Masked are: output that comes after the call, in events, logs and overflow files; the results of executions that have not ended,
   * with what they printed before; errors, diagnoses and displayed commands; and what `getResult`, `readLogs` and `listExecutions`
   * return from then on. Events that were emitted, results that were returned, and what is in files already stay as they are.
   *
   * @throws {@link ExecutionError} `INVALID_REQUEST` (field `value`) when it is no string, is too short, or when there are more than
   * 100 000 lines or 16 MiB of secrets; `NOT_FOUND`.
   */
  addSecret(value: string, options?: { executionId?: string | null | undefined } | null): void;
  /**
   * Sends a signal to the command itself, and ends nothing by that. Resolves with whether there was a process to send it to: an
   * execution that waits, or whose command has exited, has none.
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
  cancelAll(options?: { graceMs?: number | null | undefined } | null): Promise<number>;

  /** @throws {@link ExecutionError} `NOT_FOUND`. */
  getStatus(id: string): ExecutionStatus;
  /** @throws {@link ExecutionError} `NOT_FOUND`, `NOT_COMPLETED` while it runs, or while much output is masked after `addSecret`. */
  getResult<Found extends string | Buffer = Output>(id: string): ExecutionResult<Found>;
  /** Where the log of an execution is or will be; `null` when it has none. @throws {@link ExecutionError} `NOT_FOUND`. */
  getLogPath(id: string): string | null;
  /**
   * The log of an execution as text, or its last `tailBytes` bytes; while it runs, what is there so far.
   *
   * @throws {@link ExecutionError} `NOT_FOUND`; `LOG_NOT_FOUND` when there is no log, another file has taken its place, or it cannot be read.
   */
  readLogs(id: string, options?: { tailBytes?: number | null | undefined } | null): Promise<string>;
  /**
   * What a command has written to a stream so far, or in all when it has ended: what its result has, or would have if it ended now. It
   * is text, or a Buffer if the execution was started with `encoding: 'buffer'`. Empty before the command runs; with retries, that of the
   * last attempt.
   *
   * @throws {@link ExecutionError} `NOT_FOUND`; `INVALID_REQUEST` for a bad option.
   */
  readOutput<Found extends string | Buffer = Output>(id: string, options?: ReadOutputOptions | null): Promise<Found>;
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
  shutdown(options?: { graceMs?: number | null | undefined } | null): Promise<void>;
  /** Running work keeps Node alive (the default). */
  ref(): this;
  /** Running work does not keep Node alive. */
  unref(): this;
  /** `shutdown()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * A plan as a trace: JSON text for `chrome://tracing` or Perfetto, one row for each step, with its waiting, its attempts and the
 * pauses between them.
 */
export function toTrace(result: PlanExecutionResult<string | Buffer>): string;
/** A plan as a picture: SVG text with one bar for each step, and the critical path marked. */
export function toSvg(result: PlanExecutionResult<string | Buffer>): string;

/** The version of this package, which is that of its addon. */
export const version: string;

/**
 * Every error of this package. `code` is stable; the message is for people. `instanceof` also holds for the errors of another copy of
 * this package in the same process.
 */
export class ExecutionError extends Error {
  /** The name of the class. */
  name: 'ExecutionError';
  /** Which error it is: the name is stable. */
  readonly code: ErrorCode;
  /** The execution it is about. */
  readonly executionId?: string;
  /** The path of the field that was refused, such as `command.args[2]`. */
  readonly field?: string;
  /** The operating system's name for it, such as `ENOENT`. */
  readonly errno?: string;
  /** What is known of the execution that failed. With `encoding: 'buffer'` its output is Buffers, here too. */
  readonly result?: ExecutionResult;
}
