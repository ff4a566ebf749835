// A command is one of four; `type` says which.
import type { ExecutionEngine } from '../../index.js';
import type { AwsCliCommand, Command, ExecCommand, ExecutionRequest, ExecutionResult, ScriptCommand, ShellCommand } from '../../index.js';

import { assertType, type Equal } from './equal.js';

declare const engine: ExecutionEngine;

assertType<Equal<Command, ShellCommand | ExecCommand | ScriptCommand | AwsCliCommand>>();
assertType<Equal<Command['type'], 'shell' | 'exec' | 'script' | 'aws_cli'>>();
assertType<Equal<Extract<Command, { type: 'exec' }>, ExecCommand>>();

export function reported(command: Command): string {
  switch (command.type) {
    case 'shell':
      return command.command;
    case 'exec':
      return String(command.program);
    case 'script':
      return String(command.path);
    case 'aws_cli':
      return command.service;
    default:
      return command satisfies never;
  }
}

export const right: ExecutionRequest[] = [
  { command: { type: 'shell', command: 'ls' } },
  { command: { type: 'shell', command: 'ls', shell: '/bin/sh' }, timeoutMs: 5, env: { A: 'b' }, workingDir: '/' },
  { command: { type: 'exec', program: 'ls' } },
  { command: { type: 'exec', program: new URL('file:///bin/ls') }, workingDir: new URL('file:///'), env: { A: null, B: undefined } },
  { command: { type: 'exec', program: 'ls', args: ['-l'] as const } },
  { command: { type: 'script', path: 'a.sh', interpreter: null, args: null } },
  { command: { type: 'aws_cli', service: 's3', command: 'ls', profile: undefined, region: 'eu-west-1' } },
  { id: null, command: { type: 'exec', program: 'ls' }, env: null, workingDir: null, timeoutMs: null, outputLogPath: null, metadata: null },
  { command: { type: 'exec', program: 'ls' }, metadata: { label: 'a', tags: ['b'], own: { deep: [1, null, true, 'x'] } } },
];

export const wrong: ExecutionRequest[] = [
  // @ts-expect-error a command is needed
  {},
  // @ts-expect-error the type is needed
  { command: { program: 'ls' } },
  // @ts-expect-error there is no such type
  { command: { type: 'ssh', program: 'ls' } },
  // @ts-expect-error a program is needed
  { command: { type: 'exec', args: [] } },
  // @ts-expect-error arguments are texts
  { command: { type: 'exec', program: 'ls', args: [1] } },
  // @ts-expect-error a shell line has no arguments
  { command: { type: 'shell', command: 'ls', args: [] } },
  // @ts-expect-error a time is a number
  { command: { type: 'exec', program: 'ls' }, timeoutMs: '5' },
  // @ts-expect-error it is called workingDir
  { command: { type: 'exec', program: 'ls' }, cwd: '/' },
  // @ts-expect-error variables are texts
  { command: { type: 'exec', program: 'ls' }, env: { A: 1 } },
  // @ts-expect-error metadata is JSON
  { command: { type: 'exec', program: 'ls' }, metadata: { at: new Date() } },
  // @ts-expect-error a label is a text
  { command: { type: 'exec', program: 'ls' }, metadata: { label: 5 } },
];

assertType<Equal<ReturnType<ExecutionEngine['execute']>, Promise<string>>>();
assertType<Equal<ReturnType<ExecutionEngine['run']>, Promise<ExecutionResult>>>();
assertType<Equal<ReturnType<typeof ExecutionEngine.parseRequest>, ExecutionRequest>>();

// @ts-expect-error a request is an object
void engine.run('ls');
// @ts-expect-error options are no request
void engine.run({ command: { type: 'exec', program: 'ls' }, stdin: 'x' });
