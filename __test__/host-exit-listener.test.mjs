// Where the system calls no addon at the exit of a host (Windows), a listener of the process does.
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import { test } from 'node:test';

const { onHostExit } = createRequire(import.meta.url)('../lib/host-exit.js');

function host(platform, isMainThread = true) {
  const emitter = new EventEmitter();
  return { platform, isMainThread, emitter, once: emitter.once.bind(emitter) };
}

test('on Windows the end of the main thread ends what runs, once for all engines', () => {
  const windows = host('win32');
  let ends = 0;
  for (let engine = 0; engine < 20; engine++) onHostExit(() => ends++, windows);
  assert.equal(windows.emitter.listenerCount('exit'), 1);
  windows.emitter.emit('exit', 0);
  windows.emitter.emit('exit', 0);
  assert.equal(ends, 1);
});

test('a worker, and a system that calls the addon itself, have no listener', () => {
  for (const other of [host('win32', false), host('linux'), host('darwin')]) {
    onHostExit(() => assert.fail('it is called'), other);
    assert.equal(other.emitter.listenerCount('exit'), 0);
  }
});

test('what the listener calls is in the addon, and can be called when nothing runs', () => {
  const { NativeEngine } = createRequire(import.meta.url)('../lib/native.js');
  assert.equal(NativeEngine.endUnguarded(), undefined);
});
