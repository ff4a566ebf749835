// With `encoding: 'buffer'` output is Buffers: of one call, or of everything that an engine runs.
import { ExecutionEngine } from '../../index.js';
import type { Encoding, ExecutionEvent, ExecutionOptions, ExecutionResult, ExecutionStream, OutputEvent } from '../../index.js';

import { assertType, type Equal } from './equal.js';

declare const engine: ExecutionEngine;
const request = { command: { type: 'exec', program: 'ls' } } as const;

assertType<Equal<Encoding, 'utf8' | 'buffer'>>();
assertType<Equal<ExecutionResult, ExecutionResult<string>>>();
assertType<Equal<ExecutionResult<Buffer>['stdout'], Buffer>>();

export async function ofOneCall(options: ExecutionOptions) {
  const bytes = await engine.run(request, { encoding: 'buffer', stdin: 'x' });
  assertType<Equal<typeof bytes, ExecutionResult<Buffer>>>();
  assertType<Equal<typeof bytes.stderr, Buffer>>();
  const text = await engine.run(request, { encoding: 'utf8' });
  assertType<Equal<typeof text.stdout, string>>();
  for (const plain of [
    await engine.run(request),
    await engine.run(request, { stdin: 'x' }),
    await engine.run(request, { encoding: null }),
    await engine.run(request, options),
  ]) {
    assertType<Equal<typeof plain, ExecutionResult>>();
  }

  const stream = engine.stream(request, { encoding: 'buffer' });
  assertType<Equal<typeof stream, ExecutionStream<Buffer>>>();
  assertType<Equal<typeof stream.result, Promise<ExecutionResult<Buffer>>>>();
  for await (const event of stream) {
    assertType<Equal<typeof event, ExecutionEvent<Buffer>>>();
    if (event.type === 'stdout') assertType<Equal<typeof event.line, Buffer>>();
    if (event.type === 'completed') assertType<Equal<typeof event.result.stdout, Buffer>>();
  }

  const id = await engine.execute(request, { encoding: 'buffer' });
  assertType<Equal<Awaited<ReturnType<typeof waited>>, ExecutionResult<Buffer>>>();
  const waited = () => engine.waitForCompletion<Buffer>(id);
  assertType<Equal<ReturnType<typeof got>, ExecutionResult>>();
  const got = () => engine.getResult(id);
  // @ts-expect-error output is not a number
  engine.getResult<number>(id);
}

export async function ofAnEngine() {
  const bytes = new ExecutionEngine<Buffer>({ encoding: 'buffer' });
  bytes.on('stdout', (event) => void assertType<Equal<typeof event, OutputEvent<'stdout', Buffer>>>());
  bytes.on('event', (event) => void assertType<Equal<typeof event, ExecutionEvent<Buffer>>>());
  const result = await bytes.run(request);
  assertType<Equal<typeof result.stdout, Buffer>>();
  const text = await bytes.run(request, { encoding: 'utf8' });
  assertType<Equal<typeof text.stdout, string>>();
  assertType<Equal<ReturnType<typeof got>, ExecutionResult<Buffer>>>();
  const got = () => bytes.getResult('id');
  assertType<Equal<typeof bytes.config.encoding, Encoding>>();

  const mixed = new ExecutionEngine<string | Buffer>();
  mixed.on('stdout', (event) => void assertType<Equal<typeof event.line, string | Buffer>>());
}
