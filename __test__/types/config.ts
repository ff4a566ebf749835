// A configuration may leave out anything; the one in force has everything.
import { ExecutionEngine } from '../../index.js';
import type { ExecutionConfig, ResolvedConfig, ResourceLimits, RetryOptions, StopOrder, StopSignal, TerminalMode } from '../../index.js';

import { assertType, type Equal } from './equal.js';

export const all: ExecutionConfig[] = [
  {},
  { maxConcurrentExecutions: 2, concurrencyPolicy: 'reject', queueTimeoutMs: null, inheritEnv: 'none', truncateKeep: 'head' },
  { oversizedOutputStrategy: 'truncateWithWarning', envAllow: ['A'] as const },
  // @ts-expect-error it is written in camel case
  { max_concurrent_executions: 2 },
  // @ts-expect-error there is no such policy
  { concurrencyPolicy: 'wait' },
  { oversizedOutputStrategy: 'streamToFile', truncateLargeOutput: true, logDir: '/var/log' },
  ExecutionEngine.configFromEnv(),
  { ...ExecutionEngine.configFromFile('execution.toml'), ...ExecutionEngine.configFromEnv({ EXEC_MAX_CONCURRENT: '2' }) },
  { oversizedOutputStrategy: 'streamToFile', logDir: '/logs', logFormat: 'jsonl', secrets: ['abcdef'] },
  // @ts-expect-error there is no such format
  { logFormat: 'text' },
  { stopSignal: 'SIGHUP', stopOrder: 'leader', hostExitGraceMs: 0, allowDetached: true, controlGroups: false },
  { stopSignal: null, stopOrder: null, hostExitGraceMs: null, allowDetached: null, controlGroups: null },
  // @ts-expect-error it would leave no time to clean up
  { stopSignal: 'SIGKILL' },
  // @ts-expect-error there is no such order
  { stopOrder: 'children' },
  // @ts-expect-error a number
  { killGraceMs: '5' },
  {
    groups: ['a'],
    retry: { attempts: 2, onOutput: [/busy/i, { regex: 'a+' }] },
    limits: { openFiles: 9 },
    terminal: true,
    hostEnv: process.env,
  },
  { groups: null, retry: null, limits: null, terminal: { rows: 9 }, hostEnv: null },
  // @ts-expect-error how often
  { retry: { on: ['exit'] } },
  // @ts-expect-error one of these
  { terminal: 'yes' },
];

export const engines = [
  new ExecutionEngine(),
  new ExecutionEngine(null),
  new ExecutionEngine(all[0]),
  ExecutionEngine.initGlobal({}),
  ExecutionEngine.global(),
];

declare const config: ResolvedConfig;
assertType<Equal<typeof config.defaultTimeoutMs, number>>();
assertType<Equal<typeof config.queueTimeoutMs, number | null>>();
assertType<Equal<typeof config.idleTimeoutMs, number | null>>();
assertType<Equal<typeof config.stopSignal, StopSignal>>();
assertType<Equal<typeof config.stopOrder, StopOrder>>();
assertType<Equal<typeof config.hostExitGraceMs, number | null>>();
assertType<Equal<typeof config.allowDetached, boolean>>();
assertType<Equal<typeof config.logDir, string | null>>();
assertType<Equal<typeof config.streamOutput, boolean>>();
assertType<Equal<typeof config.concurrencyPolicy, 'queue' | 'reject'>>();
assertType<Equal<typeof config.envAllow, readonly string[]>>();
assertType<Equal<typeof config.retry, RetryOptions | null>>();
assertType<Equal<typeof config.limits, ResourceLimits>>();
assertType<Equal<typeof config.terminal, TerminalMode>>();
assertType<Equal<typeof config.hostEnv, Readonly<Record<string, string | null | undefined>> | null>>();
assertType<Equal<keyof ResolvedConfig, keyof ExecutionConfig>>();
// @ts-expect-error it is read-only
config.killGraceMs = 5;
// The configuration in force can be given as a configuration again.
export const again = new ExecutionEngine(config);
export const changed = new ExecutionEngine({ ...config, killGraceMs: 1 });
