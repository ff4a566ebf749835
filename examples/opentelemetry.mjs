// Records every execution as a span: `node examples/opentelemetry.mjs`. The engine does not depend on OpenTelemetry: it publishes the start
// and the end of executions on `node:diagnostics_channel`, and this example creates spans from them. Here the spans are kept in memory; a
// service sends them to its exporter.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { pathToFileURL } from 'node:url';

import { SpanKind, SpanStatusCode, context } from '@opentelemetry/api';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';

import { ExecutionEngine } from '@escher/execution-engine';

/**
 * Creates a span for every execution of this thread until the returned function is called.
 *
 * @param {import('@opentelemetry/api').Tracer} tracer
 */
export function traceExecutions(tracer) {
  /**
   * The spans of the running executions. The channel publishes the same object at the start and at the end.
   *
   * @type {WeakMap<object, import('@opentelemetry/api').Span>}
   */
  const spans = new WeakMap();

  const start = (/** @type {any} */ execution) => {
    // This is called within execute(), so that the active span is the caller's own.
    const { executionId, command, metadata } = execution;
    const attributes = {
      'escher.execution.id': executionId,
      'process.command_line': command,
      'escher.source': metadata.source,
      'escher.conversation.id': metadata.conversationId,
    };
    spans.set(execution, tracer.startSpan(metadata.label ?? command, { kind: SpanKind.INTERNAL, attributes }, context.active()));
  };
  const error = (/** @type {any} */ execution) => {
    const { code, message } = execution.error;
    spans.get(execution)?.recordException({ name: code, message });
  };
  const end = (/** @type {any} */ execution) => {
    const span = spans.get(execution);
    if (!span) return;
    const { result, status, error } = execution;
    span.setAttributes({
      'escher.status': status,
      'escher.queued_ms': result.queuedMs,
      'process.pid': result.pid ?? undefined,
      'process.exit.code': result.exitCode ?? undefined,
    });
    if (status !== 'completed') span.setStatus({ code: SpanStatusCode.ERROR, message: error?.message ?? result.reason });
    span.end();
  };

  const channels = Object.entries({ start, error, end });
  for (const [name, listener] of channels) subscribe(`escher:execution:${name}`, listener);
  return () => {
    for (const [name, listener] of channels) unsubscribe(`escher:execution:${name}`, listener);
  };
}

async function main() {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const stop = traceExecutions(provider.getTracer('execution-engine'));

  const engine = new ExecutionEngine();
  const exec = (/** @type {string} */ program, /** @type {string[]} */ ...args) => ({
    command: { type: /** @type {const} */ ('exec'), program, args },
  });
  await engine.run({ ...exec('echo', 'hello'), metadata: { label: 'greeting', source: 'example', conversationId: 'c1' } });
  await engine.run(exec('sh', '-c', 'exit 3'));
  await engine.run(exec('a-program-that-is-nowhere')).catch(() => {});
  await engine.run({ ...exec('sleep', '60'), timeoutMs: 100 });
  stop();
  await engine.run(exec('true'));

  await provider.forceFlush();
  for (const { name, status, attributes, events } of exporter.getFinishedSpans()) {
    const summary = [
      name,
      SpanStatusCode[status.code],
      attributes['escher.status'],
      attributes['process.exit.code'],
      ...events.map((event) => event.attributes?.['exception.type']),
    ];
    console.log(summary.join(' | '));
  }
  await provider.shutdown();
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await main();
