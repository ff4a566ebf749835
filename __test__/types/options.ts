// Options are host policy, apart from the request.
import { createReadStream } from 'node:fs';

import type { ExecutionEngine, ExecutionOptions, InheritEnv, StopOrder, StopSignal } from '../../index.js';

import { assertType, type Equal } from './equal.js';

declare const engine: ExecutionEngine;
const request = { command: { type: 'exec', program: 'ls' } } as const;

void engine.execute(request);
void engine.execute(request, null);
void engine.run(request, {
  signal: AbortSignal.timeout(5),
  stdin: new Uint8Array(2),
  idleTimeoutMs: 5,
  killGraceMs: 0,
  stopSignal: 'SIGINT',
  stopOrder: 'leader',
  allowDetached: true,
  mergeOutput: true,
  streamOutput: false,
  lines: 'whole',
  maxOutputSizeBytes: 0,
  oversizedOutputStrategy: 'streamToFile',
  truncateKeep: 'tail',
  drainTimeoutMs: 0,
  hostEnv: process.env,
  inheritEnv: 'core',
  envAllow: ['A_*'] as const,
  envDeny: [],
  leftovers: 'kill',
  secrets: ['abcdef'] as const,
  maskEnvSecrets: true,
  priority: -1,
  groups: ['a'] as const,
  retry: { attempts: 3, backoffMs: 5, maxBackoffMs: null, on: ['exit', 'signal', 'timeout', 'spawn', 7] as const },
});
void engine.run(request, { stdin: Buffer.from('x') });
void engine.stream(request, { stdin: 'inherit', signal: null });
void engine.run(request, { stdin: 'open' });
void engine.run(request, { input: 'open' });
void engine.run(request, { input: createReadStream('file') });
void engine.run(request, { terminal: true });
void engine.run(request, { terminal: { columns: 80 } });
const resized: Promise<void> = engine.resize('id', { columns: 80, rows: 24 });
// @ts-expect-error A size has both numbers.
void engine.resize('id', { columns: 80 });
const written: Promise<void> = engine.write('id', new Uint8Array(2));
const ended: Promise<void> = engine.endInput('id');
void [written, ended, resized];
// @ts-expect-error No number is input.
void engine.write('id', 5);
void engine.run(request, { stdin: createReadStream('file') });
void engine.run(request, { stdin: process.stdin });
async function* texts() {
  yield 'text';
  yield new Uint8Array(2);
}
void engine.run(request, { stdin: texts() });

assertType<Equal<InheritEnv, 'all' | 'core' | 'none'>>();
assertType<Equal<StopSignal, 'SIGTERM' | 'SIGINT' | 'SIGHUP' | 'SIGQUIT' | 'SIGUSR1' | 'SIGUSR2'>>();
assertType<Equal<StopOrder, 'tree' | 'leader'>>();
assertType<
  Equal<
    keyof ExecutionOptions,
    | 'signal'
    | 'stdin'
    | 'input'
    | 'terminal'
    | 'idleTimeoutMs'
    | 'killGraceMs'
    | 'stopSignal'
    | 'stopOrder'
    | 'allowDetached'
    | 'mergeOutput'
    | 'streamOutput'
    | 'lines'
    | 'maxOutputSizeBytes'
    | 'oversizedOutputStrategy'
    | 'truncateKeep'
    | 'drainTimeoutMs'
    | 'inheritEnv'
    | 'envAllow'
    | 'envDeny'
    | 'secrets'
    | 'maskEnvSecrets'
    | 'leftovers'
    | 'priority'
    | 'groups'
    | 'encoding'
    | 'hostEnv'
    | 'retry'
  >
>();

// @ts-expect-error a controller is not its signal
void engine.run(request, { signal: new AbortController() });
// @ts-expect-error a time belongs to the request
void engine.run(request, { timeoutMs: 5 });
// @ts-expect-error there is no such choice
void engine.run(request, { inheritEnv: 'some' });
// @ts-expect-error it would leave no time to clean up
void engine.run(request, { stopSignal: 'SIGKILL' });
// @ts-expect-error names are written in full
void engine.run(request, { stopSignal: 'TERM' });
// @ts-expect-error there is no such order
void engine.run(request, { stopOrder: 'group' });
// @ts-expect-error numbers are no input
void engine.run(request, { stdin: 5 });
void engine.run(request, { stdin: ['a', new Uint8Array(1), new DataView(new ArrayBuffer(1))] });
void engine.run(request, { stdin: new Blob(['a']) });
void engine.run(request, { stdin: new Set(['a']) });
void engine.run(request, { stdin: new Blob(['a']).stream() });
// @ts-expect-error nor is a list of them
void engine.run(request, { stdin: [5] });
async function* numbers() {
  yield 5;
}
// @ts-expect-error nor are numbers that come one by one
void engine.run(request, { stdin: numbers() });
// @ts-expect-error there is no such encoding
void engine.run(request, { encoding: 'latin1' });
// @ts-expect-error a list is needed
void engine.run(request, { envAllow: 'A' });
// @ts-expect-error not there in this version
void engine.run(request, { logDir: '/tmp' });
// @ts-expect-error how often has to be said
void engine.run(request, { retry: {} });
// @ts-expect-error there is no such kind of failure
void engine.run(request, { retry: { attempts: 2, on: ['bad luck'] } });
