/**
 * Runs system commands: streams their output lines, ends each command with its whole process tree at its timeout, bounds the memory and
 * disk space that output takes, and returns a result with the exact outcome. Output never leaves the machine.
 *
 * @packageDocumentation
 */
/// <reference types="node" />
import { EventEmitter } from 'node:events';

/** A command line for a shell, with the full syntax of that shell. The line may have any length. */
export interface ShellCommand {
  /** The tag of this kind of command. */
  type: 'shell';
  /** The command line. */
  command: string;
  /** The shell: a path, a file URL, or a name on the child's `PATH`. Default: `/bin/bash`, else `/bin/sh`; on Windows `cmd.exe`. */
  shell?: string | URL | null | undefined;
  /**
   * Whether the line ends at the first command that fails, also within a pipeline, and at an unset variable: the options `errexit`,
   * `nounset` and `pipefail` of bash. A `shell` other than bash is refused; if there is no bash, the error is `SPAWN_FAILED`. Default:
   * false.
   */
  strict?: boolean | null | undefined;
}

/** A program and its arguments. No shell reads them. */
export interface ExecCommand {
  /** The tag of this kind of command. */
  type: 'exec';
  /** The program: a path (a relative one is resolved against `workingDir`), a file URL, or a name on the child's `PATH`. */
  program: string | URL;
  /** The arguments after the program's own name. Default: none. */
  args?: readonly string[] | null | undefined;
}

/** A script file, which the engine passes to its interpreter as a file. */
export interface ScriptCommand {
  /** The tag of this kind of command. */
  type: 'script';
  /** The file, as a path or a file URL. A relative path is resolved against `workingDir`. */
  path: string | URL;
  /** The interpreter: a path, a file URL, or a name. Default: the one that the script's `#!` line names, else the one for its extension. */
  interpreter?: string | URL | null | undefined;
  /** The arguments of the script. Default: none. */
  args?: readonly string[] | null | undefined;
}

/** A command of the AWS CLI, which runs without a pager and with unchanged output. */
export interface AwsCliCommand {
  /** The tag of this kind of command. */
  type: 'aws_cli';
  /** The service, as in `aws <service>`: `s3`, `sts`, `ec2`. */
  service: string;
  /** The operation, as in `aws s3 <command>`: `ls`, `describe-instances`. */
  command: string;
  /** The arguments after the operation. Default: none. */
  args?: readonly string[] | null | undefined;
  /** The value of `--profile`. Default: none. */
  profile?: string | null | undefined;
  /** The value of `--region`. Default: none. */
  region?: string | null | undefined;
}

/** The command of a request. */
export type Command = ShellCommand | ExecCommand | ScriptCommand | AwsCliCommand;

/** A JSON value. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/**
 * The caller's data about an execution: any JSON. The engine keeps all of it and returns it with the result. Listings show `label`,
 * `source` and `conversationId` and filter by `label` and `source`; the `label` is the name of a step of a plan.
 */
export interface ExecutionMetadata {
  /** The origin of the request: a playbook, a person, a schedule. */
  source?: string | undefined;
  /** The conversation to which the request belongs. */
  conversationId?: string | undefined;
  /** A short name for people. */
  label?: string | undefined;
  /** Tags, which the engine does not interpret. */
  tags?: string[] | undefined;
  /** Any other data that the caller keeps with the execution. */
  [key: string]: Json | undefined;
}

/** A request: the command to run and the data about it, validated strictly. `null` and `undefined` mean that a field is absent. */
export interface ExecutionRequest {
  /** The id, a UUID. Default: a new one. */
  id?: string | null | undefined;
  /** The command to run. */
  command: Command;
  /**
   * Environment variables that are added to those that `inheritEnv` selects; inherited properties of the object count too. `null` and
   * `undefined` remove a variable that would be inherited.
   */
  env?: Readonly<Record<string, string | null | undefined>> | null | undefined;
  /**
   * The working directory of the command. A relative path is resolved against the host's working directory at the call, which is the
   * default.
   */
  workingDir?: string | URL | null | undefined;
  /** The timeout from the attempt to spawn to the end, in ms: 1 to `maxTimeoutMs`. Default: `defaultTimeoutMs`. */
  timeoutMs?: number | null | undefined;
  /**
   * The file of an additional log, besides the engine's own: an absolute path or a file URL. The engine creates the file for this user
   * only, or appends to an existing regular file of this user. Links, pipes and devices are refused with `LOG_FAILED`. Default: none.
   */
  outputLogPath?: string | URL | null | undefined;
  /** The caller's data, which the result and listings have too. */
  metadata?: ExecutionMetadata | null | undefined;
}

/** Options for reading the environment of a login shell. */
export interface LoginShellOptions {
  /**
   * The shell: bash, zsh, fish, or another one that accepts the same options. Default: the user's shell, by `SHELL`, else by the user
   * database of the system.
   */
  shell?: string | null | undefined;
  /** The timeout for the shell's start files, in ms, at least 1. Default: 10 000. */
  timeoutMs?: number | null | undefined;
}

/** Options that select the part of an output to read. */
export interface ReadOutputOptions {
  /** The stream to read. Default: `stdout`. */
  stream?: 'stdout' | 'stderr' | null | undefined;
  /** The number of bytes to read from the end of the output. Default: all of it. */
  tailBytes?: number | null | undefined;
}

/** The signal that requests a process to end, before it is killed. On Windows each value stands for Ctrl-Break. */
export type StopSignal = 'SIGTERM' | 'SIGINT' | 'SIGHUP' | 'SIGQUIT' | 'SIGUSR1' | 'SIGUSR2';

/**
 * The order in which the members of a process tree get the stop signal: all at once (`tree`), or the command itself first (`leader`). With
 * `leader` the other members get it when the command has exited or half of the grace period has passed.
 */
export type StopOrder = 'tree' | 'leader';

/** The set of the host's environment variables that a child inherits: all, those that a program needs to start (`core`), or none. */
export type InheritEnv = 'all' | 'core' | 'none';

/**
 * The action on output above `maxOutputSizeBytes`: keep a part of it; end the execution with `OUTPUT_SIZE_EXCEEDED`; or keep a part of it
 * in memory and all of it in a file, which is removed with the record.
 */
export type OversizedOutputStrategy = 'truncateWithWarning' | 'failExecution' | 'streamToFile';

/**
 * The time at which a line becomes an event. With `pieces` an unfinished line is emitted after 200 ms without output; with `whole` a line
 * is emitted when it is complete. A line above `maxLineBytes` comes in pieces in both modes.
 */
export type LineMode = 'pieces' | 'whole';

/** The part of the output that is kept above the limit; `both` keeps half of the limit from each end. */
export type TruncateKeep = 'head' | 'tail' | 'both';

/**
 * The treatment of background processes that outlive their command: they keep running (`leave`), or are ended like a cancelled tree
 * (`kill`).
 */
export type Leftovers = 'leave' | 'kill';

/** The type of output: text, in which bytes that are not UTF-8 become U+FFFD, or Buffers with the exact bytes. */
export type Encoding = 'utf8' | 'buffer';
/**
 * Resource limits that the system enforces for each process of a command (Linux). On other systems a limit is refused with
 * `INVALID_REQUEST`. If the system refuses a limit, because it is above the hard limit of the host, the error is `SPAWN_FAILED` and nothing
 * is started.
 */
export interface ResourceLimits {
  /** The most open file descriptors of one process, at least 1. Opening one more fails with `EMFILE`. */
  openFiles?: number | null | undefined;
  /**
   * The most processes and threads of the user, in total, at least 1. Creating one more fails with `EAGAIN`. The limit does not apply to
   * root.
   */
  processes?: number | null | undefined;
  /** The largest address space of one process, in bytes, at least 1. Allocations beyond it fail. */
  memoryBytes?: number | null | undefined;
  /**
   * The most processor time of one process, in seconds, at least 1. At the limit the process gets SIGXCPU, and SIGKILL one second later.
   */
  cpuSeconds?: number | null | undefined;
  /** The largest file that a process may write, in bytes. A write beyond it raises SIGXFSZ. */
  fileSizeBytes?: number | null | undefined;
}

/**
 * The conditions under which a failed command is run again. After a cancel, an abort, a shutdown or the end of a plan there is no further
 * attempt.
 */
export interface RetryOptions {
  /** The most runs, the first one included: 1 to 1 000. */
  attempts: number;
  /**
   * The longest pause after the first failure, in ms. It doubles with each further failure, and each pause is shortened by a random amount
   * of up to one half. Default: 1 000.
   */
  backoffMs?: number | null | undefined;
  /** The longest pause, in ms. Default: 30 000. */
  maxBackoffMs?: number | null | undefined;
  /** The failures that are retried: kinds of failure, or single exit codes. Default: all four kinds. */
  on?: readonly ('exit' | 'signal' | 'timeout' | 'spawn' | number)[] | null | undefined;
  /**
   * Patterns of the output: a failure is retried only if one of them matches in the last 64 KiB of either stream. A string is matched
   * literally; a regular expression may have the flags i, m, s and u, but no look-around, back-references and `\p{…}`. `{ regex }` is an
   * expression in the syntax of the crate `regex-lite`, as in files. Default: none, so that any failure is retried.
   */
  onOutput?: OutputPattern | readonly OutputPattern[] | null | undefined;
}

/** A pattern for output: literal text, or a regular expression. */
export type OutputPattern = string | RegExp | { readonly regex: string };

/** A chunk of standard input: text, or bytes in any of these types. */
export type InputChunk = string | NodeJS.ArrayBufferView | ArrayBuffer | SharedArrayBuffer;

/**
 * The terminal of a command: `false` for none, `true` for one of 80 × 24 characters, or its size; `columns` and `rows` are 1 to 65 535
 * each. Defaults: 80 columns and 24 rows.
 */
export type TerminalMode = boolean | { readonly columns?: number | null | undefined; readonly rows?: number | null | undefined };

/** The options with which this host runs a request. They are policy of the host and never part of a received request. */
export interface ExecutionOptions {
  /** The abort signal: when it fires, the execution ends with the status `cancelled` and the reason `aborted`. Default: none. */
  signal?: AbortSignal | null | undefined;
  /**
   * The standard input of the child: text, bytes, the chunks of an iterable or a stream, which are taken at the pace at which the child
   * reads, the data of {@link ExecutionEngine.write} (`'open'`), or the host's own standard input (`'inherit'`). When the command reads no
   * more, a Readable that only the command reads is destroyed; one that other code still uses, such as the request of an HTTP server, is no
   * longer read but stays open. Default: empty, so that the child reads end of file at once.
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
   * The standard input of the child, as `stdin`, for text that is not known in advance: here `'open'` and `'inherit'` are ordinary text. A
   * call with both options is refused.
   */
  input?: InputChunk | Iterable<InputChunk> | AsyncIterable<InputChunk> | NodeJS.ReadableStream | Blob | null | undefined;
  /**
   * The terminal in which the command runs: it is the command's controlling terminal and its only stream. `true` is a terminal of 80 × 24
   * characters; `columns` and `rows` are 1 to 65 535 each. Its input is open for {@link ExecutionEngine.write} unless `stdin` or `input`
   * gives data. Not supported on Windows. `false` means no terminal, whatever the engine's setting is. Default: the engine's `terminal`,
   * which is none.
   */
  terminal?: TerminalMode | null | undefined;
  /** The longest time without output, in ms; then the execution is ended. Default: the engine's `idleTimeoutMs`. */
  idleTimeoutMs?: number | null | undefined;
  /** The grace period between the stop signal and SIGKILL, in ms. Default: the engine's `killGraceMs`. */
  killGraceMs?: number | null | undefined;
  /** The signal that requests the processes of the tree to end. Default: the engine's `stopSignal`. */
  stopSignal?: StopSignal | null | undefined;
  /** The order in which the processes of the tree get that signal. Default: the engine's `stopOrder`. */
  stopOrder?: StopOrder | null | undefined;
  /**
   * Whether a descendant that opts out (`ESCHER_EXECUTION_ID=detached`, in a session of its own) keeps running when its tree is ended.
   * Default: the engine's `allowDetached`.
   */
  allowDetached?: boolean | null | undefined;
  /**
   * Whether standard error is written to the pipe of standard output, so that the order between them is exact. Default: the engine's
   * `mergeOutput`, which is false.
   */
  mergeOutput?: boolean | null | undefined;
  /** Whether output lines become events. Default: the engine's `streamOutput`. */
  streamOutput?: boolean | null | undefined;
  /**
   * The time at which a line becomes an event: an unfinished line after 200 ms without output (`pieces`), or each line only when it is
   * complete (`whole`). Default: the engine's `lines`.
   */
  lines?: LineMode | null | undefined;
  /** The most output that is kept in memory for each stream, in bytes. Default: the engine's `maxOutputSizeBytes`. */
  maxOutputSizeBytes?: number | null | undefined;
  /** The action on output above `maxOutputSizeBytes`. Default: the engine's `oversizedOutputStrategy`. */
  oversizedOutputStrategy?: OversizedOutputStrategy | null | undefined;
  /** The part of the output that is kept above the limit. Default: the engine's `truncateKeep`. */
  truncateKeep?: TruncateKeep | null | undefined;
  /**
   * The longest time without output on an output pipe after the command has exited, in ms; then the engine stops reading. The drain takes
   * at most 2 s in total. Default: the engine's `drainTimeoutMs`.
   */
  drainTimeoutMs?: number | null | undefined;
  /** The set of the host's variables that the child inherits. Default: the engine's `inheritEnv`. */
  inheritEnv?: InheritEnv | null | undefined;
  /** Globs of the names of variables that are inherited in addition to `inheritEnv`. They are added to the engine's `envAllow`. */
  envAllow?: readonly string[] | null | undefined;
  /** Globs of the names of variables that are removed last, and that a request may not set. They are added to the engine's `envDeny`. */
  envDeny?: readonly string[] | null | undefined;
  /**
   * Strings that are replaced by `***` in all data that leaves the engine, also where they are encoded or quoted (docs/secrets.md lists the
   * forms). They are added to the engine's `secrets`. Each has at least 6 bytes.
   */
  secrets?: readonly string[] | null | undefined;
  /** Whether the values of variables named by `envSecretPatterns` are masked too. Default: the engine's `maskEnvSecrets`. */
  maskEnvSecrets?: boolean | null | undefined;
  /** The treatment of background processes that outlive their command. Default: the engine's `leftovers`, which is `leave`. */
  leftovers?: Leftovers | null | undefined;
  /**
   * The resource limits of the processes of the command (Linux). They replace all limits of the engine; `{}` sets none. Default: the
   * engine's `limits`.
   */
  limits?: ResourceLimits | null | undefined;
  /** The priority in the queue, a whole number: executions with a higher one start first. Default: 0. */
  priority?: number | null | undefined;
  /**
   * The names of the groups of the execution, 64 at most, of 1 to 256 bytes each. The setting `groupLimits` has the most executions of a
   * group that run at once; the others wait, without a slot. The names replace those of the engine; `[]` means no group. Default: the
   * engine's `groups`.
   */
  groups?: readonly string[] | null | undefined;
  /**
   * The conditions under which the command is run again when it fails; `{ attempts: 1 }` allows no further attempt. Default: the engine's
   * `retry`, which is none.
   */
  retry?: RetryOptions | null | undefined;
  /** The type of output: text, or Buffers with the exact bytes. Default: the engine's `encoding`. */
  encoding?: Encoding | null | undefined;
  /**
   * The variables from which the child inherits, by the same rules. Default: the engine's `hostEnv`, which is `process.env` at the call. To
   * inherit from `process.env` in an engine with another `hostEnv`, give `process.env` here.
   */
  hostEnv?: Readonly<Record<string, string | null | undefined>> | null | undefined;
}

/** The order in which the commands of a plan run. */
export type ExecutionStrategy = SerialStrategy | ParallelStrategy | DependencyGraphStrategy;

/** The strategy that runs the commands one after the other. */
export interface SerialStrategy {
  /** The tag of this strategy. */
  type: 'serial';
  /** Whether the plan stops after a step that does not complete. Default: true. */
  stopOnError?: boolean | null | undefined;
}

/** The strategy that runs all commands at once. */
export interface ParallelStrategy {
  /** The tag of this strategy. */
  type: 'parallel';
  /** The most commands of this plan that run at once. Default: the number of the engine's slots. */
  maxConcurrency?: number | null | undefined;
}

/** The strategy that runs each command as soon as the commands on which it depends have completed. */
export interface DependencyGraphStrategy {
  /** The tag of this strategy. */
  type: 'dependency_graph';
  /** The dependencies: for the index of a command, the indexes of the commands that must complete before it. */
  dependencies: Readonly<Record<number, readonly number[]>>;
}

/** A request as a step of a plan. */
export interface PlanStepRequest extends Omit<ExecutionRequest, 'env'> {
  /**
   * Environment variables, as in other requests. `{ from: step }` is the trimmed standard output of another step, given by its index or its
   * id; this step then depends on that one. The step fails (`INVALID_REQUEST`) if that output is not UTF-8, has a NUL character, a masked
   * secret or more than 128 KiB, or was truncated.
   */
  env?: Readonly<Record<string, string | { readonly from: number | string } | null | undefined>> | null | undefined;
}

/** A small set of commands and the order between them. A step is one command of the plan, identified by its index. */
export interface ExecutionPlan {
  /** The id, a UUID. Default: a new one. */
  id?: string | null | undefined;
  /** The purpose of the plan, for people. */
  description: string;
  /** The order in which the commands run. */
  strategy: ExecutionStrategy;
  /** The commands, 1 to 100 000. */
  commands: readonly PlanStepRequest[];
  /** The caller's data, which the result has too. */
  metadata?: ExecutionMetadata | null | undefined;
}

/** The options with which this host runs one step of a plan. */
export interface PlanStepOptions extends ExecutionOptions {
  /**
   * The condition on the outcomes of the step's dependencies, which in a serial plan are all steps before it. With `success` the step runs
   * when all completed; with `failure`, when at least one did not complete; with `always`, in any case, also after a cancel, an abort or
   * the deadline of the plan, but not after `shutdown`. Default: `success`.
   */
  when?: 'success' | 'failure' | 'always' | null | undefined;
}

/** The options with which this host runs a plan: those of all its steps, and those of the plan itself. The `signal` ends the whole plan. */
export interface PlanOptions extends ExecutionOptions {
  /** Whether the other steps run although a step did not complete. Default: false. */
  continueOnError?: boolean | null | undefined;
  /** The longest time of the plan, in ms; then it is ended with the status `timeout`. Default: no deadline. */
  deadlineMs?: number | null | undefined;
  /** The options of single steps, by index. They override the options of all steps. */
  steps?: Readonly<Record<number, PlanStepOptions>> | null | undefined;
}

/** The configuration of an engine. */
export interface ExecutionConfig {
  /** The timeout of a request without one, in ms. Default: 300 000, or `maxTimeoutMs` if that is less. */
  defaultTimeoutMs?: number | null | undefined;
  /** The longest timeout that a request may have, in ms. Default: 3 600 000. */
  maxTimeoutMs?: number | null | undefined;
  /** Whether output lines become events. Default: true. */
  streamOutput?: boolean | null | undefined;
  /**
   * The time at which a line becomes an event: an unfinished line after 200 ms without output (`pieces`), or each line only when it is
   * complete (`whole`). Default: `pieces`.
   */
  lines?: LineMode | null | undefined;
  /** Whether standard error is written to the pipe of standard output, so that the order between them is exact. Default: false. */
  mergeOutput?: boolean | null | undefined;
  /** The type of output: text, or Buffers with the exact bytes. Default: `utf8`. */
  encoding?: Encoding | null | undefined;
  /** The most commands that run at once. Default: 100. */
  maxConcurrentExecutions?: number | null | undefined;
  /**
   * The action on a request when `maxConcurrentExecutions` commands run, or when one of its groups has no free place: let it wait, or
   * refuse it with `CONCURRENCY_LIMIT_REACHED`. Default: `queue`.
   */
  concurrencyPolicy?: 'queue' | 'reject' | null | undefined;
  /** The most executions that may wait; a further one is refused with `QUEUE_FULL`. Default: 10 000. */
  maxQueuedExecutions?: number | null | undefined;
  /**
   * The most executions of a group that run at once, by globs of group names: each name that matches a glob has this limit for itself. An
   * entry with the exact name has precedence, then the longest glob. The limit is 1 for a group that no entry matches. Default: `{}`.
   */
  groupLimits?: Readonly<Record<string, number>> | null | undefined;
  /** The names of the groups of each execution whose options have no `groups`. Default: none. */
  groups?: readonly string[] | null | undefined;
  /** The longest wait for a slot and for groups, in ms. Default: no limit. */
  queueTimeoutMs?: number | null | undefined;
  /** The grace period between the stop signal and SIGKILL, in ms. With 0, SIGKILL is sent at once. Default: 5 000. */
  killGraceMs?: number | null | undefined;
  /** The signal that requests the processes of an execution to end. Default: `'SIGTERM'`. */
  stopSignal?: StopSignal | null | undefined;
  /** The order in which the processes of an execution get the stop signal. Default: `'tree'`. */
  stopOrder?: StopOrder | null | undefined;
  /**
   * The grace period between the stop signal and SIGKILL when the host exits or is killed, in ms. Default: the `killGraceMs` of each
   * execution.
   */
  hostExitGraceMs?: number | null | undefined;
  /**
   * Whether a descendant that opts out (`ESCHER_EXECUTION_ID=detached`, in a session of its own) keeps running when its execution is ended.
   * Default: false.
   */
  allowDetached?: boolean | null | undefined;
  /** Whether each execution gets a control group of its own, if the host is permitted to create one (Linux, cgroup v2). Default: true. */
  controlGroups?: boolean | null | undefined;
  /** The longest time without output, in ms; then the execution is ended. Default: no limit. */
  idleTimeoutMs?: number | null | undefined;
  /** The conditions under which a failed command is run again. Default: no further attempt. */
  retry?: RetryOptions | null | undefined;
  /** The resource limits of the processes of each command (Linux). Default: the limits of the host. */
  limits?: ResourceLimits | null | undefined;
  /** The terminal of each command. Default: `false`, which is none. */
  terminal?: TerminalMode | null | undefined;
  /**
   * The longest time without output on an output pipe after the command has exited, in ms; then the engine stops reading. The drain takes
   * at most 2 s in total. Default: 500.
   */
  drainTimeoutMs?: number | null | undefined;
  /** The treatment of background processes that outlive their command. Default: `leave`. */
  leftovers?: Leftovers | null | undefined;
  /** The longest line that comes in one piece, in bytes. Default: 65 536. */
  maxLineBytes?: number | null | undefined;
  /** The time in which a command must neither use the processor nor write before the event `waiting` is emitted, in ms. Default: 1 000. */
  waitingAfterMs?: number | null | undefined;
  /** The most output that is kept in memory for each stream, in bytes. Default: 10 MiB. */
  maxOutputSizeBytes?: number | null | undefined;
  /**
   * The action on output above `maxOutputSizeBytes`: keep a part of it; end the execution with `OUTPUT_SIZE_EXCEEDED`; or keep a part of it
   * in memory and all of it in a file, which is removed with the record. Default: `truncateWithWarning`.
   */
  oversizedOutputStrategy?: OversizedOutputStrategy | null | undefined;
  /** The older form of `oversizedOutputStrategy`: `false` means `failExecution`, unless that setting is given too. Default: true. */
  truncateLargeOutput?: boolean | null | undefined;
  /** The part of the output that is kept above the limit. Default: `both` ends. */
  truncateKeep?: TruncateKeep | null | undefined;
  /**
   * The directory in which `streamToFile` writes, an absolute path. Default: a directory of this user in the directory for temporary files.
   */
  overflowDir?: string | null | undefined;
  /** The largest overflow file, in bytes. Default: 1 GiB. */
  maxOverflowFileBytes?: number | null | undefined;
  /** The largest total size of all overflow files of this engine, in bytes. Default: 4 GiB. */
  maxOverflowTotalBytes?: number | null | undefined;
  /** The free disk space that overflow files and logs leave, in bytes: they stop growing before the disk has less. Default: 512 MiB. */
  minFreeDiskBytes?: number | null | undefined;
  /** The directory of the logs, an absolute path: each execution gets a log there, named by its id. Default: no logs. */
  logDir?: string | null | undefined;
  /** The format of logs: the raw bytes in the order in which they were read, or a JSON object for each line. Default: `raw`. */
  logFormat?: 'raw' | 'jsonl' | null | undefined;
  /** Whether a log in `logDir` stays when its record is removed. A file at `outputLogPath` always stays. Default: true. */
  keepLogs?: boolean | null | undefined;
  /** The largest log, in bytes. Output beyond it is counted as lost (`logLostBytes`). Default: 1 GiB. */
  maxLogFileBytes?: number | null | undefined;
  /** The largest total size of the logs of all executions that have a record, in bytes. Default: 16 GiB. */
  maxLogTotalBytes?: number | null | undefined;
  /** Strings that are replaced by `***` in all data that leaves the engine. Each has at least 6 bytes. Default: none. */
  secrets?: readonly string[] | null | undefined;
  /** Whether the values of variables named by `envSecretPatterns` are masked too. Default: false. */
  maskEnvSecrets?: boolean | null | undefined;
  /**
   * Globs of the names of variables whose values are secret. Default: `*TOKEN* *SECRET* *PASSWORD* *PASSWD* *CREDENTIAL*
   * *PRIVATE_KEY* *API_KEY* AWS_*KEY*`.
   */
  envSecretPatterns?: readonly string[] | null | undefined;
  /**
   * Whether a guardian process ends the running commands when the host ends, in whichever way. Default: true. Windows needs no guardian and
   * ends the running commands in any case.
   */
  guardian?: boolean | null | undefined;
  /** The variables from which a child inherits, by the same rules. Default: `process.env` at the call. */
  hostEnv?: Readonly<Record<string, string | null | undefined>> | null | undefined;
  /** The set of the host's variables that a child inherits. Default: `all`. */
  inheritEnv?: InheritEnv | null | undefined;
  /** Globs of the names of variables that are inherited in addition to `inheritEnv`. Default: none. */
  envAllow?: readonly string[] | null | undefined;
  /** Globs of the names of variables that no child gets, and that no request may set. Default: none. */
  envDeny?: readonly string[] | null | undefined;
  /** The most records of ended executions that are kept; the oldest are removed first. Default: 1 000. */
  maxInMemoryExecutions?: number | null | undefined;
  /** The retention time of the records of ended executions, in seconds. Default: 3 600. */
  executionRetentionSecs?: number | null | undefined;
  /**
   * The largest total size of output, metadata, errors and diagnoses in all records, in bytes; the oldest records are removed first.
   * Default: 256 MiB.
   */
  maxRetainedOutputBytes?: number | null | undefined;
  /** The largest metadata of a request or a plan, in bytes of JSON text. Larger metadata is refused. Default: 65 536 (64 KiB). */
  maxMetadataBytes?: number | null | undefined;
  /** Whether the engine removes old records by itself. If not, only `cleanup()` removes them. Default: true. */
  enableAutoCleanup?: boolean | null | undefined;
  /**
   * The shortest time between two searches for records that are too old, in seconds. No search takes place while no record can be too old.
   * Default: 60.
   */
  cleanupIntervalSecs?: number | null | undefined;
}

/** A configuration in which each field has its effective value; a field without a limit is `null`. */
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

/** The status of an execution. The last four are final. */
export type ExecutionStatus = 'pending' | 'running' | 'completed' | 'failed' | 'cancelled' | 'timeout';

/** The reason why an execution ended. */
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
  | 'spawn_failed';

/** The stable names of errors. */
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

/** The error that kept the engine from running an execution as requested. */
export interface ErrorInfo {
  /** The stable name of the error. */
  code: ErrorCode;
  /** The message, for people: the requested operation, the failure, and the remedy. */
  message: string;
  /** The operating system's name of the error, such as `ENOENT`. */
  errno?: string;
}

/** The state of an execution's processes when its timeout was reached. */
export interface Diagnosis {
  /** The time since the last output of the execution, or since its start, in ms. */
  silentMs: number;
  /** The number of processes beyond those in `processes`. Absent when there were none. */
  moreProcesses?: number;
  /** The processes of the execution, 256 at most. */
  processes: {
    /** The process id. */
    pid: number;
    /** The process id of the parent. */
    parent: number;
    /** The program and its arguments, 1 024 characters at most; the name of the process in brackets if it has none. */
    command: string;
    /** The state of the process, as `ps` shows it: `R` runs, `S` and `D` wait, `T` is stopped. */
    state: string;
    /** The processor time that the process has used, in ms. */
    cpuMs: number;
    /** The input that the process is blocked reading; absent when it reads none of these. */
    waitsFor?: 'stdin' | 'terminal';
  }[];
}

/** The processes that the engine ended, and the means. */
interface Killed {
  /** The ids of the processes that were running when the engine began to end them. */
  pids: number[];
  /** The steps that were taken, in order, such as `SIGTERM to the group`. */
  mechanism: string;
}

/** The result of an execution: its exact outcome. `Output` is `Buffer` with `encoding: 'buffer'`. */
export interface ExecutionResult<Output extends string | Buffer = string> {
  /** The id of the execution. */
  id: string;
  /** A final status: `completed`, `failed`, `cancelled` or `timeout`. */
  status: 'completed' | 'failed' | 'cancelled' | 'timeout';
  /** Whether the status is `completed`: the command exited by itself with code 0. */
  success: boolean;
  /** The exit code; `null` when a signal ended the command or it never ran. */
  exitCode: number | null;
  /** The name of the signal that ended the command, such as `SIGKILL`; else `null`. */
  signal: string | null;
  /** The exact output to standard output, up to `maxOutputSizeBytes`. */
  stdout: Output;
  /** The exact output to standard error, up to `maxOutputSizeBytes`. */
  stderr: Output;
  /** The time from spawn to the end, in ms, on a monotonic clock; 0 when the command never ran. */
  durationMs: number;
  /** The time from acceptance, or from the end of the pause before this attempt, to spawn, in ms. */
  queuedMs: number;
  /** The time of the spawn; the time of acceptance if the command was never spawned. */
  startedAt: Date;
  /** The time of the end, by the system clock. */
  completedAt: Date;
  /** The process id; `null` when the command never ran. */
  pid: number | null;
  /** The number of the attempt, from 1. All other fields describe this attempt. */
  attempt: number;
  /** The earlier attempts, oldest first; absent when there were none. */
  retries?: FailedAttempt[];
  /** The error that kept the engine from running the command as requested; else absent. */
  error?: ErrorInfo;
  /** The reason why the execution ended; absent after `INTERNAL` and `LOG_FAILED`. */
  reason?: Reason;
  /**
   * The `reason` of the abort signal, as it was given to `abort()`, if the reason is `aborted`; absent when the standard input failed.
   * `getResult` and a later wait have it for the last 1 000 aborted executions of an engine.
   */
  abortReason?: unknown;
  /** The number of bytes written to standard output, kept or not. */
  stdoutBytes: number;
  /** The number of bytes written to standard error, kept or not. */
  stderrBytes: number;
  /** Whether `stdout` lacks some of those bytes. */
  stdoutTruncated: boolean;
  /** Whether `stderr` lacks some of those bytes. */
  stderrTruncated: boolean;
  /**
   * The file with all of standard output, if it exceeded `maxOutputSizeBytes` and the strategy is `streamToFile`: from its first byte, to
   * its end or to the limit that it reached. The file is removed with the record.
   */
  stdoutOverflowFile?: string;
  /** The file with all of standard error, under the same conditions. */
  stderrOverflowFile?: string;
  /**
   * The path of the log: `outputLogPath` if the request has one, else a file in `logDir`. Secrets in the path are masked; `getLogPath`
   * returns it unmasked.
   */
  logPath?: string;
  /** The number of bytes that are missing in overflow files, because a limit or the disk did not permit to write them. */
  overflowLostBytes: number;
  /** The number of bytes that are missing in the log. */
  logLostBytes: number;
  /** Whether a background process still held an output pipe when the engine stopped reading. */
  leaked: boolean;
  /** The processes that the engine ended, and the means; absent when it ended none. */
  killed?: Killed;
  /** The state of the processes when a timeout was reached (`timeout`, `idle_timeout`); else absent. */
  diagnosis?: Diagnosis;
  /** The processor time in user mode of the command and of the children for which it waited, in ms. */
  cpuUserMs: number;
  /** The processor time in kernel mode of those processes, in ms. */
  cpuSystemMs: number;
  /**
   * The peak memory of the largest process of the command, in bytes; absent when it is not known. At the spawn Linux counts the memory of
   * the host as that of the command, so that the peak of a command that needs less memory than the host is not known.
   */
  peakMemoryBytes?: number;
  /** The value in the request. */
  metadata: ExecutionMetadata;
}

/** A failed attempt that was followed by another one. */
export interface FailedAttempt {
  /** The number of the attempt, from 1. */
  attempt: number;
  /** The final status. */
  status: 'failed' | 'timeout';
  /** The exit code; `null` when a signal ended the command or it never ran. */
  exitCode: number | null;
  /** The name of the signal that ended the command; else `null`. */
  signal: string | null;
  /** The reason why the attempt ended. */
  reason: Reason;
  /** The error; absent unless the command could not be started. */
  error?: ErrorInfo;
  /** The time of the spawn; the time of acceptance if the command was never spawned. */
  startedAt: Date;
  /** The time that the attempt waited for a slot, in ms. */
  queuedMs: number;
  /** The time from spawn to the end, in ms. */
  durationMs: number;
  /** The pause after the attempt, in ms. */
  delayMs: number;
}

/** The reason why a step never began. */
export type SkipReason = 'dependency' | 'stop_on_error' | 'no_failure' | 'cancelled' | 'aborted' | 'deadline' | 'shutdown' | 'duplicate_id';

/** A step that never began. */
export interface SkippedStep {
  /** The index of the step, which is that of its command. */
  index: number;
  /** The reason why the step never began. */
  reason: SkipReason;
  /** The index of the step that did not complete, for `dependency` and `stop_on_error`; else `null`. */
  because: number | null;
}

/** A step of a plan that has ended. */
export interface PlanStep {
  /** The index of the step, which is that of its command. */
  index: number;
  /** The id of the step's execution, which has a record unless the step was skipped. */
  id: string;
  /** The name of the step: the label of its request, else the command as a person would type it, at most 200 characters. */
  name: string;
  /** The final status of the step; `skipped` when it never began. */
  status: ExecutionResult['status'] | 'skipped';
  /** The indexes of the steps for which it waited. */
  dependsOn: number[];
  /** The condition on the outcomes of those steps; absent when it is `success`. */
  when?: 'failure' | 'always';
  /** The variables whose values are outputs of other steps, by name; absent when there are none. */
  inputs?: {
    /** The name of the variable. */
    name: string;
    /** The index of the step that wrote it. */
    from: number;
  }[];
}

/** The numbers of steps of a plan by their final status. */
export interface PlanStats {
  /** The number of all steps. */
  total: number;
  /** The number of steps with the status `completed`. */
  completed: number;
  /** The number of steps with the status `failed`. */
  failed: number;
  /** The number of steps with the status `cancelled`. */
  cancelled: number;
  /** The number of steps with the status `timeout`. */
  timeout: number;
  /** The number of steps that never began. */
  skipped: number;
  /** The number of attempts beyond the first one of each step. */
  retries: number;
}

/** The result of a plan. */
export interface PlanExecutionResult<Output extends string | Buffer = string> {
  /** The id of the plan. */
  planId: string;
  /**
   * The final status: `completed` when every step completed, apart from steps that were skipped because there was no failure; `cancelled`
   * or `timeout` when the plan was ended; else `failed`.
   */
  status: ExecutionResult['status'];
  /** Whether the status is `completed`. */
  success: boolean;
  /** The value in the plan. */
  description: string;
  /** The results of the steps that began, in the order of their indexes. The array is created when it is first read. */
  readonly results: ExecutionResult<Output>[];
  /** The steps of the plan, in the order of their indexes. */
  steps: PlanStep[];
  /** The steps that never began, in the order of their indexes. */
  skipped: SkippedStep[];
  /** The numbers of steps by their final status. */
  stats: PlanStats;
  /** The time from acceptance to the end, in ms, on a monotonic clock. */
  totalDurationMs: number;
  /** The time of acceptance. */
  startedAt: Date;
  /** The time at which the last step ended. */
  completedAt: Date;
  /** The value in the plan. */
  metadata: ExecutionMetadata;
}

/** The fields that all events have. */
interface EventBase {
  /** The id of the execution to which the event belongs. */
  executionId: string;
  /** The time of the event. */
  timestamp: Date;
  /**
   * The number of the event within its execution, from 0. A listener to some types of events sees a gap only where there was an event of
   * another type.
   */
  sequence: number;
  /** The id of the plan of which the execution is a step; absent without a plan. */
  planId?: string;
  /** The index of the step in that plan; absent without a plan. */
  step?: number;
}

/** The execution was accepted, and waits for a slot or for a group. */
export interface QueuedEvent extends EventBase {
  /** The name of the event. */
  type: 'queued';
  /** The command as a person would type it. */
  command: string;
  /**
   * The name of the first of its groups, in alphabetical order, that has no free place. With `null` the execution waits for a slot only.
   */
  group: string | null;
}

/** The command was spawned. */
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
 * and one of its processes is blocked in a call that reads the input. The event is emitted once for each such wait, on Linux, for a command
 * with a terminal, or with a `stdin` that is a stream or open.
 */
export interface WaitingEvent extends EventBase {
  /** The name of the event. */
  type: 'waiting';
  /** The input for which the command waits. */
  for: 'stdin' | 'terminal';
  /** The unfinished line that the command wrote last, such as a question; else empty. */
  prompt: string;
}

/**
 * The command itself has exited. Its output may not have been read to the end, and processes that it left behind may still run. In
 * JavaScript the event is emitted only while the engine has a listener for `exited`; then listeners for `event` and streams get it too.
 */
export interface ExitedEvent extends EventBase {
  /** The name of the event. */
  type: 'exited';
  /** The exit code; `null` when a signal ended the command. */
  exitCode: number | null;
  /** The name of the signal that ended the command; else `null`. */
  signal: string | null;
}

/** The execution continues without a property that the engine guarantees. If all executions lack it, each engine emits the event once. */
export interface DegradedEvent extends EventBase {
  /** The name of the event. */
  type: 'degraded';
  /** The missing property, and the cause. */
  message: string;
}

/** The event of an attempt that failed and is followed by another one after a pause. */
export interface RetryEvent<Output extends string | Buffer = string> extends EventBase {
  /** The name of the event. */
  type: 'retry';
  /** The number of the attempt that failed, from 1. */
  attempt: number;
  /** The most attempts of the execution. */
  attempts: number;
  /** The time until the next attempt may begin, in ms. */
  delayMs: number;
  /** The result of the failed attempt. The object is created when it is first read. */
  readonly result: ExecutionResult<Output>;
}

/** The progress of a plan, emitted when a step begins and when a step ends. */
export interface ProgressEvent<Output extends string | Buffer = string> extends EventBase {
  /** The name of the event. */
  type: 'progress';
  /** The id of the plan, which is also the `executionId`: these events have a sequence of their own. */
  planId: string;
  /** The number of steps that have ended, the skipped ones included: at the end it is `total`. */
  completed: number;
  /** The number of steps that began and did not complete. */
  failed: number;
  /** The number of steps that never began and will not begin. */
  skipped: number;
  /** The number of all steps of the plan. */
  total: number;
  /** The command of the step that began last among the running ones; `null` when none runs. */
  currentCommand: string | null;
  /** The condition on the outcomes of that step's dependencies: `success`, `failure` or `always`; `null` when none runs. */
  currentWhen: string | null;
  /** The status of the plan: `running`, or in its last event the final status. */
  status: 'running' | ExecutionResult['status'];
  /** The result of the plan, in its last event. The object is created when it is first read. */
  readonly result?: PlanExecutionResult<Output>;
}

/**
 * An output line without its line ending, or a piece of one. A line consists of its pieces up to the first that has neither `partial` nor
 * `continued`.
 */
export interface OutputEvent<T extends 'stdout' | 'stderr' = 'stdout' | 'stderr', Output extends string | Buffer = string>
  extends EventBase {
  /** The stream to which the line was written. */
  type: T;
  /** The text, in which bytes that are not UTF-8 become U+FFFD; with `encoding: 'buffer'` the bytes. */
  line: Output;
  /** The mark of a line that was unfinished after 200 ms without output: more of it may follow. */
  partial?: true;
  /** The mark of a line that is longer than `maxLineBytes`: more of it follows. */
  continued?: true;
  /** The mark of a line that a single carriage return ended: a progress display overwrites such a line. */
  carriageReturn?: true;
}

/**
 * The output of a command to its terminal, with control sequences. Its lines, without control sequences, are events of the type `stdout`.
 */
export interface DataEvent<Output extends string | Buffer = string> extends EventBase {
  /** The name of the event. */
  type: 'data';
  /** The text in whole characters, in which bytes that are not UTF-8 become U+FFFD; with `encoding: 'buffer'` the bytes. */
  data: Output;
}

/** The terminal event of an execution. Each execution has exactly one, and no event follows it. */
export interface EndEvent<T extends ExecutionResult['status'] = ExecutionResult['status'], Output extends string | Buffer = string>
  extends EventBase {
  /** The final status. */
  type: T;
  /** The result. The object is created when it is first read. */
  readonly result: ExecutionResult<Output>;
  /** The error that kept the engine from running the command as requested; else absent. */
  error?: ErrorInfo;
}

/** An event of an execution or of a plan. */
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

/** The events of an engine and the arguments of their listeners. */
export interface ExecutionEvents<Output extends string | Buffer = string> {
  /** The execution was accepted, and waits for a slot or for a group. */
  queued: [QueuedEvent];
  /** The command was spawned. */
  started: [StartedEvent];
  /**
   * The command waits for input: its standard input is open and empty, it has neither written nor used the processor for `waitingAfterMs`,
   * and one of its processes is blocked in a call that reads the input. The event is emitted once for each such wait, on Linux, for a
   * command with a terminal, or with a `stdin` that is a stream or open.
   */
  waiting: [WaitingEvent];
  /**
   * The command itself has exited. Its output may not have been read to the end, and processes that it left behind may still run. In
   * JavaScript the event is emitted only while the engine has a listener for `exited`; then listeners for `event` and streams get it too.
   */
  exited: [ExitedEvent];
  /** The execution continues without a property that the engine guarantees. If all executions lack it, each engine emits the event once. */
  degraded: [DegradedEvent];
  /** An attempt failed, and another attempt follows after a pause. */
  retry: [RetryEvent<Output>];
  /** A step of a plan began or ended. The last such event of a plan has its result. */
  progress: [ProgressEvent<Output>];
  /**
   * The command wrote a line to standard output, or a piece of one. A line consists of its pieces up to the first that is neither `partial`
   * nor `continued`.
   */
  stdout: [OutputEvent<'stdout', Output>];
  /** The command wrote a line to standard error, or a piece of one, as with `stdout`. */
  stderr: [OutputEvent<'stderr', Output>];
  /**
   * The command wrote to its terminal: the event has the output with control sequences. Its lines, without control sequences, are events of
   * the type `stdout`.
   */
  data: [DataEvent<Output>];
  /** The command exited with code 0. */
  completed: [EndEvent<'completed', Output>];
  /** The command ended in another way, or the engine could not run it as requested. */
  failed: [EndEvent<'failed', Output>];
  /** The execution was ended on request. */
  cancelled: [EndEvent<'cancelled', Output>];
  /** The execution was ended because a timeout was reached. */
  timeout: [EndEvent<'timeout', Output>];
  /** Every event, whatever its type is. */
  event: [ExecutionEvent<Output>];
}

/** The outcome of one request of {@link ExecutionEngine.executeMany}, in the form of `Promise.allSettled`. */
export type SubmissionOutcome =
  | {
      /** The mark of an accepted request. */
      status: 'fulfilled';
      /** The id of the execution. */
      value: string;
    }
  | {
      /** The mark of a refused request: nothing runs. */
      status: 'rejected';
      /** The error with which `execute` would reject. */
      reason: ExecutionError;
    };

/** The events of one execution at the consumer's pace: a slow consumer slows the child, and `break` ends the execution. */
export interface ExecutionStream<Output extends string | Buffer = string> extends AsyncIterable<ExecutionEvent<Output>> {
  /** The id of the execution; resolves when the request is accepted. */
  readonly id: Promise<string>;
  /**
   * The result, as `waitForCompletion` returns it. When the buffers are full, unread lines block the child: read the events to the end, or
   * `break`.
   */
  readonly result: Promise<ExecutionResult<Output>>;
  /** Returns an iterator over the events. Each event is delivered once: a second iterator gets those that the first one has not taken. */
  [Symbol.asyncIterator](): AsyncIterator<ExecutionEvent<Output>, undefined, undefined>;
  /**
   * Returns an iterator over the events in arrays, in their order: one array, never an empty one, for each turn of the event loop in which
   * events arrived. While more output waits, a turn delivers about 64 KiB of it, so that other work of the event loop is not delayed. A
   * late reader gets all waiting events in one array. Each array costs one promise, and the events in it none. The iteration ends after the
   * terminal event; a slow consumer slows the child, and `break` ends the execution.
   *
   * The first read decides whether a stream is read by events or by arrays. A read in the other way rejects with {@link ExecutionError}
   * `INVALID_REQUEST` (field `stream`), and takes no event.
   */
  batches(): AsyncIterableIterator<ExecutionEvent<Output>[]>;
  /** Ends the execution, unless it has ended, and resolves when its process tree is gone: `await using stream = engine.stream(…)`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** The events of a plan and of its steps at the consumer's pace: a slow consumer slows the children, and `break` ends the plan. */
export interface PlanStream extends AsyncIterable<ExecutionEvent> {
  /** The id of the plan; resolves when the plan is accepted. */
  readonly id: Promise<string>;
  /** The result, as `waitForPlan` returns it. */
  readonly result: Promise<PlanExecutionResult>;
  /** Returns an iterator over the events. Each event is delivered once: a second iterator gets those that the first one has not taken. */
  [Symbol.asyncIterator](): AsyncIterator<ExecutionEvent, undefined, undefined>;
  /**
   * Returns an iterator over the events in arrays, in their order: one array, never an empty one, for each turn of the event loop in which
   * events arrived. While more output waits, a turn delivers about 64 KiB of it, so that other work of the event loop is not delayed. A
   * late reader gets all waiting events in one array. Each array costs one promise, and the events in it none. The iteration ends after the
   * terminal event; a slow consumer slows the children, and `break` ends the plan.
   *
   * The first read decides whether a stream is read by events or by arrays. A read in the other way rejects with {@link ExecutionError}
   * `INVALID_REQUEST` (field `stream`), and takes no event.
   */
  batches(): AsyncIterableIterator<ExecutionEvent[]>;
  /** Ends the plan, unless it has ended, and resolves when its process trees are gone. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * The outcome of one execution without its content: there is no field for output, an environment, a command or the message of an error. It
 * describes the last attempt of the execution.
 */
export interface ExecutionFeedback {
  /** The id of the execution. */
  readonly executionId: string;
  /**
   * The `metadata.label`, if it is a name of 1 to 64 bytes (letters, digits, spaces, `- _ . , : / # @ + ( )`) without a secret in it; else
   * `null`.
   */
  readonly label: string | null;
  /** The final status. */
  readonly status: 'completed' | 'failed' | 'cancelled' | 'timeout';
  /** The reason why the execution ended; `null` when a defect of the engine ended it. */
  readonly reason: Reason | null;
  /** The exit code; `null` when a signal ended the command or it never ran. */
  readonly exitCode: number | null;
  /** The name of the signal that ended the command; else `null`. */
  readonly signal: string | null;
  /** The time from spawn to the end, in ms. */
  readonly durationMs: number;
  /** The time from acceptance to spawn, in ms. */
  readonly queuedMs: number;
  /** The number of bytes written to standard output. */
  readonly stdoutBytes: number;
  /** The number of bytes written to standard error. */
  readonly stderrBytes: number;
}

/** The argument with which an engine is created: its configuration, and a function of the caller. */
export interface EngineConfig extends ExecutionConfig {
  /**
   * The function that is called with the outcome of each execution when it ends, before its terminal event: for a host that collects
   * outcomes without commands and output. An exception in it becomes an `uncaughtException`, and affects nothing else. Default: none.
   */
  feedback?: ((status: ExecutionFeedback) => void) | null | undefined;
}

/** The conditions that the executions in a listing meet. */
export interface ExecutionFilter {
  /** The status of the executions. Default: any. */
  status?: ExecutionStatus | null | undefined;
  /** `metadata.label`. */
  label?: string | null | undefined;
  /** `metadata.source`. */
  source?: string | null | undefined;
  /** The earliest time of acceptance: a Date, an ISO 8601 string, or milliseconds since 1970. Default: no limit. */
  since?: Date | string | number | null | undefined;
  /** The most executions; the newest are listed. Default: all. */
  limit?: number | null | undefined;
}

/** A row of a listing. */
export interface ExecutionSummary {
  /** The id of the execution. */
  id: string;
  /** The current status. */
  status: ExecutionStatus;
  /** The command as a person would type it, at most 200 characters. */
  command: string;
  /** `metadata.label`. */
  label?: string;
  /** `metadata.source`. */
  source?: string;
  /** `metadata.conversationId`. */
  conversationId?: string;
  /** The process id of the last attempt; absent before the command runs, and when it never ran. */
  pid?: number;
  /** The time of acceptance. */
  createdAt: Date;
  /** The time of the end; absent before the end. */
  completedAt?: Date;
  /** The exit code; absent before the end, and `null` when a signal ended the command or it never ran. */
  exitCode?: number | null | undefined;
  /** The time from spawn to the end, in ms; absent before the end. */
  durationMs?: number;
}

/** The distribution of a duration, in ms, over all executions that ran; each value has an error of 1 % at most. */
export interface Percentiles {
  /** The number of measured values. If it is 0, all other fields are 0. */
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

/**
 * The message of the channels `escher:execution:start`, `:error` and `:end` of `node:diagnostics_channel`: one object for each execution.
 */
export interface ExecutionTrace {
  /** The id of the execution. */
  readonly executionId: string;
  /** The command as a person would type it, at most 200 characters. */
  readonly command: string;
  /** The value in the request. */
  readonly metadata: ExecutionMetadata;
  /** The final status; absent before the end. */
  status?: ExecutionResult['status'];
  /** The result; absent before the end. The object is created when it is first read. */
  readonly result?: ExecutionResult;
  /** The error that kept the engine from running the command as requested, set before `:error`; else absent. */
  error?: ErrorInfo;
}

/** The totals since the engine started. */
export interface ExecutionStats {
  /** The number of accepted executions. */
  total: number;
  /** The number of executions that ended with the status `completed`. */
  completed: number;
  /** The number of executions that ended with the status `failed`. */
  failed: number;
  /** The number of executions that ended with the status `cancelled`. */
  cancelled: number;
  /** The number of executions that ended with the status `timeout`. */
  timeout: number;
  /** The number of bytes read from the standard output of the ended executions. */
  stdoutBytes: number;
  /** The number of bytes read from the standard error of the ended executions. */
  stderrBytes: number;
  /** The number of lines, or pieces of lines, in that output. */
  lines: number;
  /** The number of times that a spawn had to wait because the machine had no resources for another process. */
  backoffs: number;
  /** The number of executions that wait for a group now, whether or not a slot is free. */
  waitingForGroups: number;
  /** The number of executions whose result lacks output because of the output limit. */
  truncated: number;
  /** The number of bytes that are missing in logs. */
  logLostBytes: number;
  /** The number of bytes that are missing in overflow files. */
  overflowLostBytes: number;
  /** The time from the assignment of a slot to the spawn, in ms. */
  spawnLatencyMs: Percentiles;
  /** The time from acceptance to spawn, in ms. */
  queueTimeMs: Percentiles;
  /** The time from spawn to the end, in ms. */
  durationMs: Percentiles;
}

/** The load of an engine at the time of the call. */
export interface ConcurrencyMetrics {
  /** The most commands that may run at once. */
  maxConcurrent: number;
  /** The number of executions that hold a slot. */
  currentlyRunning: number;
  /** The number of executions that wait for a slot or for a group. */
  currentlyPending: number;
  /** The number of free slots. */
  availableSlots: number;
}

/**
 * Runs commands. Each engine has its own limit, queue and records.
 *
 * Running executions keep the Node.js process alive unless {@link ExecutionEngine.unref} was called.
 *
 * @typeParam Output The type of output for listeners, and for calls without an `encoding`: `Buffer` when `config.encoding` is `buffer`,
 * `string | Buffer` when the executions with listeners differ.
 */
export class ExecutionEngine<Output extends string | Buffer = string>
  extends EventEmitter<ExecutionEvents<Output>>
  implements AsyncDisposable
{
  /**
   * Creates an engine and starts its threads. @throws {@link ExecutionError} `INVALID_CONFIG` with the field; `SPAWN_FAILED` with `errno`
   * when the machine has no resources for the threads.
   */
  constructor(config?: EngineConfig | null);

  /**
   * Creates the global engine of this thread. It runs one command at a time; the others wait.
   *
   * @throws {@link ExecutionError} `ALREADY_INITIALIZED`; `INVALID_CONFIG`, also for a `maxConcurrentExecutions` other than 1.
   */
  static initGlobal(config?: EngineConfig | null): ExecutionEngine;
  /** Returns the global engine of this thread. @throws {@link ExecutionError} `NOT_INITIALIZED` before `initGlobal`. */
  static global(): ExecutionEngine;
  /**
   * Reads settings from `EXEC_*` variables, such as `EXEC_MAX_TIMEOUT_MS`. Returns only the settings that are given there.
   *
   * @param env The variables. Default: `process.env`.
   * @throws {@link ExecutionError} `INVALID_CONFIG` with the variable as `field`.
   */
  static configFromEnv(env?: Readonly<Record<string, string | undefined>>): ExecutionConfig;
  /**
   * Returns the environment of the user's login shell, which reads the user's start files. It is the environment of a program that is
   * started in a terminal; desktop applications have another one. The shell runs as an interactive login shell without a terminal. The
   * output of the start files is dropped, and so are the shell's own variables (`_`, `SHLVL`, `PWD`, `OLDPWD`).
   *
   * @throws {@link ExecutionError} `INVALID_REQUEST` for an invalid option, and on Windows; `SPAWN_FAILED` for a shell that cannot be
   * started, does not answer in time (`ETIMEDOUT`), or prints no environment.
   */
  static loginShellEnv(options?: LoginShellOptions | null): Promise<Record<string, string>>;
  /**
   * Reads settings from a `.toml` or `.json` file with snake_case keys, which may be in a table `execution`. Returns only the settings that
   * are given there.
   *
   * @throws {@link ExecutionError} `INVALID_CONFIG` with the key as `field`; the message has the file and the line. `PERMISSION_DENIED` if
   * the runtime does not permit this process to read the file.
   */
  static configFromFile(path: string | URL): ExecutionConfig;
  /**
   * Reads a request in wire form (snake_case, as a server or a playbook sends it) and validates it strictly.
   *
   * @param wire JSON text, or the parsed object.
   * @throws {@link ExecutionError} `INVALID_REQUEST` with the field.
   */
  static parseRequest(wire: string | object): ExecutionRequest;

  /**
   * Accepts a request and runs its command in the background.
   *
   * @returns the id of the execution.
   * @throws {@link ExecutionError} `INVALID_REQUEST`, `DUPLICATE_ID`, `CONCURRENCY_LIMIT_REACHED`, `QUEUE_FULL`, `ENGINE_SHUT_DOWN`,
   * `PERMISSION_DENIED`.
   */
  execute(request: ExecutionRequest, options?: ExecutionOptions | null): Promise<string>;
  /**
   * Accepts many requests and runs their commands in the background. All requests are passed to the addon by one call, which blocks the
   * event loop for a fraction of the time of separate calls of `execute`. Each request is accepted or refused separately, in their order.
   *
   * @param requests The requests, an array. Together they have 1 000 000 values and 64 Mi characters at most.
   * @param options The options of each execution. `stdin` and `input` are text or bytes, which each execution gets: a stream has only one
   * reader.
   * @returns the outcome of each request, in their order, as `Promise.allSettled` has it for a call of `execute`: its id, or the error with
   * which it was refused. The `field` of an error in a request begins with its index, such as `requests[3].command.program`.
   * @throws {@link ExecutionError} `INVALID_REQUEST` for `requests` itself or an option, `PERMISSION_DENIED`; then no request was accepted.
   */
  executeMany(requests: readonly ExecutionRequest[], options?: ExecutionOptions | null): Promise<SubmissionOutcome[]>;
  /**
   * Waits for the end of an execution and returns its result. Any number of callers may wait, before or after the end. The promise resolves
   * also when the command failed, timed out or was cancelled.
   *
   * @throws {@link ExecutionError} `NOT_FOUND`. With a `result`: `SPAWN_FAILED`, `OUTPUT_SIZE_EXCEEDED`, `LOG_FAILED` or `INTERNAL` when
   * the engine could not run the command as requested, and `INVALID_REQUEST` (field `options.stdin` or `options.input`) when an iterable or
   * a stream as input failed.
   */
  waitForCompletion<Found extends string | Buffer = Output>(id: string): Promise<ExecutionResult<Found>>;
  /** Runs a command and returns its result, as `execute` and then `waitForCompletion`, with output as Buffers. */
  run(request: ExecutionRequest, options: ExecutionOptions & { encoding: 'buffer' }): Promise<ExecutionResult<Buffer>>;
  /** Runs a command and returns its result, as `execute` and then `waitForCompletion`, with output as text. */
  run(request: ExecutionRequest, options: ExecutionOptions & { encoding: 'utf8' }): Promise<ExecutionResult<string>>;
  /** Runs a command and returns its result, as `execute` and then `waitForCompletion`, with output in the engine's `encoding`. */
  run(request: ExecutionRequest, options?: ExecutionOptions | null): Promise<ExecutionResult<Output>>;
  /** Runs a command and blocks this thread until it has ended, with output as Buffers. */
  runSync(request: ExecutionRequest, options: ExecutionOptions & { encoding: 'buffer' }): ExecutionResult<Buffer>;
  /** Runs a command and blocks this thread until it has ended, with output as text. */
  runSync(request: ExecutionRequest, options: ExecutionOptions & { encoding: 'utf8' }): ExecutionResult<string>;
  /**
   * Runs a command and blocks this thread until it has ended, with output in the engine's `encoding`. No timer, listener or promise of this
   * thread makes progress meanwhile. Timeouts apply. No events are emitted. The call does not wait for a slot, since the executions that
   * hold the slots may need this thread.
   *
   * @throws {@link ExecutionError} The errors with which `run` rejects; `CONCURRENCY_LIMIT_REACHED` when no slot is free; `INVALID_REQUEST`
   * (field `options.stdin`) for a stream or an iterable.
   */
  runSync(request: ExecutionRequest, options?: ExecutionOptions | null): ExecutionResult<Output>;
  /** Runs a command and returns its events as a stream at the consumer's pace, with output as Buffers. */
  stream(request: ExecutionRequest, options: ExecutionOptions & { encoding: 'buffer' }): ExecutionStream<Buffer>;
  /** Runs a command and returns its events as a stream at the consumer's pace, with output as text. */
  stream(request: ExecutionRequest, options: ExecutionOptions & { encoding: 'utf8' }): ExecutionStream<string>;
  /** Runs a command and returns its events as a stream at the consumer's pace, with output in the engine's `encoding`. */
  stream(request: ExecutionRequest, options?: ExecutionOptions | null): ExecutionStream<Output>;
  /**
   * Ends an execution and resolves when its process tree is gone. An ended execution does not change. `graceMs` is the time from now until
   * SIGKILL, in ms. It can shorten the current grace period, and never lengthens it. Default: the execution's `killGraceMs`.
   *
   * @throws {@link ExecutionError} `NOT_FOUND`; `INVALID_REQUEST` (field `graceMs`) for an invalid `graceMs`.
   */
  cancel(id: string, options?: { graceMs?: number | null | undefined } | null): Promise<void>;
  /**
   * Writes to the standard input of a command that was started with `stdin: 'open'` or with a `terminal`. Resolves when the pipe has
   * accepted all data, so that a caller that awaits it writes at the pace of the command. Concurrent writes keep their order. Before the
   * command has started, the write waits. Do not change the bytes before the promise has resolved.
   *
   * @throws {@link ExecutionError} `NOT_FOUND`; `INVALID_REQUEST` (field `id`) when the input is not open, was ended, or is no longer read,
   * because the command has closed it or has exited. Such a refusal is no error of the execution. `INVALID_REQUEST` (field `data`) for data
   * of another type.
   */
  write(id: string, data: InputChunk): Promise<void>;
  /**
   * Ends the standard input of a command that was started with `stdin: 'open'`, after the previous writes. A terminal gets its end-of-file
   * character. Does nothing if the input has ended.
   *
   * @throws {@link ExecutionError} `NOT_FOUND`; `INVALID_REQUEST` (field `id`) when the input was never open.
   */
  endInput(id: string): Promise<void>;
  /**
   * Changes the size of the terminal of a command, which gets SIGWINCH. A command that has not started yet will start in a terminal of that
   * size. Does nothing after the end of the command.
   *
   * @throws {@link ExecutionError} `NOT_FOUND`; `INVALID_REQUEST` for a size that is not 1 to 65 535, and (field `id`) if the command has
   * no terminal.
   */
  resize(id: string, size: { columns: number; rows: number }): Promise<void>;
  /**
   * Moves the deadline of an execution to `ms` milliseconds from now: later or earlier than before, but not beyond `maxTimeoutMs` from its
   * start. Resolves with the new deadline. It applies to the running attempt, or, while the execution waits, to the next one.
   *
   * @throws {@link ExecutionError} `NOT_FOUND`; `INVALID_REQUEST` (field `ms`) for a value that is not a time from 1 ms to 365 days, and
   * (field `id`) when the command has exited or is being ended.
   */
  extendTimeout(id: string, ms: number): Promise<Date>;
  /**
   * Masks one more secret from now on, such as a token that a command printed. A secret has at least 6 bytes. With an `executionId` it is
   * masked in that execution only; without one, in all executions of this engine, the running ones included.
   *
   * The secret is masked in output that is read after the call, in events, logs and overflow files; in the results of executions that have
   * not ended, the earlier output included; in errors, diagnoses and displayed commands; and in the values that `getResult`, `readLogs` and
   * `listExecutions` return from then on. Events that were emitted, results that were returned, and data that is already in files do not
   * change.
   *
   * @throws {@link ExecutionError} `INVALID_REQUEST` (field `value`) when the value is no string or is too short, or when the secrets have
   * more than 100 000 lines or 16 MiB in total; `NOT_FOUND`.
   */
  addSecret(value: string, options?: { executionId?: string | null | undefined } | null): void;
  /**
   * Sends a signal to the command itself, without ending the execution. Resolves with whether there was a process to signal: an execution
   * that waits, or whose command has exited, has none.
   *
   * @throws {@link ExecutionError} `NOT_FOUND`; `INVALID_REQUEST` (field `signal`) for a name that is no signal on this system; `INTERNAL`
   * when the system refuses the signal.
   */
  signal(id: string, name: NodeJS.Signals): Promise<boolean>;
  /**
   * Validates a whole plan, accepts it, and runs it in the background.
   *
   * @returns the id of the plan.
   * @throws {@link ExecutionError} `INVALID_PLAN` with the field, such as `commands[3].command.program`; `INVALID_REQUEST` for
   * an option; `DUPLICATE_ID`, `ENGINE_SHUT_DOWN`.
   */
  executePlan(plan: ExecutionPlan, options?: PlanOptions | null): Promise<string>;
  /**
   * Waits for the end of a plan and returns its result. Any number of callers may wait, before or after the end. The promise resolves
   * whatever the status of the plan is.
   *
   * @throws {@link ExecutionError} `NOT_FOUND`.
   */
  waitForPlan(id: string): Promise<PlanExecutionResult>;
  /** Runs a plan and returns its result, as `executePlan` and then `waitForPlan`. */
  runPlan(plan: ExecutionPlan, options?: PlanOptions | null): Promise<PlanExecutionResult>;
  /** Runs a plan and returns the events of the plan and of its steps as a stream at the consumer's pace. */
  streamPlan(plan: ExecutionPlan, options?: PlanOptions | null): PlanStream;
  /**
   * Ends a plan: running steps are ended with their process trees, and the others are skipped. Resolves when all steps have ended. A plan
   * that has ended does not change.
   *
   * @throws {@link ExecutionError} `NOT_FOUND`.
   */
  cancelPlan(id: string): Promise<void>;

  /**
   * Ends all executions and plans that have not ended. Resolves with the number of those executions when their process trees are gone.
   * `graceMs` has the meaning that it has in {@link ExecutionEngine.cancel}.
   */
  cancelAll(options?: { graceMs?: number | null | undefined } | null): Promise<number>;

  /** Returns the status of an execution. @throws {@link ExecutionError} `NOT_FOUND`. */
  getStatus(id: string): ExecutionStatus;
  /**
   * Returns the result of an ended execution. @throws {@link ExecutionError} `NOT_FOUND`; `NOT_COMPLETED` while it runs, or while much
   * output is masked after `addSecret`.
   */
  getResult<Found extends string | Buffer = Output>(id: string): ExecutionResult<Found>;
  /** Returns the path where the log of an execution is or will be; `null` when it has none. @throws {@link ExecutionError} `NOT_FOUND`. */
  getLogPath(id: string): string | null;
  /**
   * Returns the log of an execution as text, or its last `tailBytes` bytes; while the execution runs, the log so far.
   *
   * @throws {@link ExecutionError} `NOT_FOUND`; `LOG_NOT_FOUND` when there is no log, another file has taken its place, or it cannot be
   * read.
   */
  readLogs(id: string, options?: { tailBytes?: number | null | undefined } | null): Promise<string>;
  /**
   * Returns the output of a command to a stream so far, or all of it when the command has ended: the output that its result has, or would
   * have if it ended now. It is text, or a Buffer if the execution was started with `encoding: 'buffer'`. It is empty before the command
   * runs; with retries it is that of the last attempt.
   *
   * @throws {@link ExecutionError} `NOT_FOUND`; `INVALID_REQUEST` for an invalid option.
   */
  readOutput<Found extends string | Buffer = Output>(id: string, options?: ReadOutputOptions | null): Promise<Found>;
  /** Returns a listing of the executions that have a record, newest first. */
  listExecutions(filter?: ExecutionFilter | null): ExecutionSummary[];
  /** Removes the record of an ended execution. @throws {@link ExecutionError} `NOT_FOUND`; `NOT_COMPLETED` while it runs. */
  removeExecution(id: string): void;
  /** Removes at once the records whose retention has ended. @returns the number of removed executions. */
  cleanup(): number;
  /** Returns the totals since the engine started. */
  getStats(): ExecutionStats;
  /** Returns the totals and the current state of the engine in the text format of Prometheus (0.0.4). */
  metricsText(): string;
  /** Returns the current load of the engine. */
  getConcurrencyMetrics(): ConcurrencyMetrics;
  /** The effective configuration, with the default of each field that was not given. */
  readonly config: ResolvedConfig;

  /**
   * Shuts the engine down: refuses further work (`ENGINE_SHUT_DOWN`), waits up to `graceMs` milliseconds (default 0) for running executions
   * to finish, ends the others as a cancel does (reason `shutdown`), and resolves when all have ended.
   */
  shutdown(options?: { graceMs?: number | null | undefined } | null): Promise<void>;
  /** Lets running executions keep the Node.js process alive, which is the default. */
  ref(): this;
  /** Lets the Node.js process exit although executions run. */
  unref(): this;
  /** Shuts the engine down, as `shutdown()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Returns a trace of a plan: JSON text for `chrome://tracing` or Perfetto, with one row for each step, which shows its waits, its attempts
 * and the pauses between them.
 */
export function toTrace(result: PlanExecutionResult<string | Buffer>): string;
/** Returns a picture of a plan: SVG text with one bar for each step, and the critical path marked. */
export function toSvg(result: PlanExecutionResult<string | Buffer>): string;

/** The version of this package, which is also that of its addon. */
export const version: string;

/**
 * The error of this package. `code` is stable; the message is for people. `instanceof` is also true for the errors of another copy of this
 * package in the same process.
 */
export class ExecutionError extends Error {
  /** The name of the class. */
  name: 'ExecutionError';
  /** The stable name of the error. */
  readonly code: ErrorCode;
  /** The id of the execution that the error concerns; absent when it concerns none. */
  readonly executionId?: string;
  /** The path of the field that was refused, such as `command.args[2]`. */
  readonly field?: string;
  /** The operating system's name of the error, such as `ENOENT`. */
  readonly errno?: string;
  /** The result of the failed execution, as far as it is known. With `encoding: 'buffer'` its output is Buffers. */
  readonly result?: ExecutionResult;
}
