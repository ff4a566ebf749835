// Engines for one test, and what their listeners get.
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';

import { ExecutionEngine } from '../../index.js';

const FINAL = ['completed', 'failed', 'cancelled', 'timeout'];

/** Returns an engine without listeners; it is shut down at the end of the test. */
export function newEngine(t, config) {
  const engine = new ExecutionEngine(config);
  t.after(() => end(engine));
  return engine;
}

/** Returns an engine whose every event is recorded, and checked at the end of the test. */
export function recordedEngine(t, config) {
  const engine = new ExecutionEngine(config);
  const events = new Recorder(engine);
  t.after(async () => {
    await end(engine);
    await events.check();
  });
  return { engine, events };
}

/** Ends a running execution by its timeout, now, and returns the result: so no timeout has to be guessed in which the command gets ready. */
export async function timeOut(engine, id) {
  await engine.extendTimeout(id, 1);
  return engine.waitForCompletion(id);
}

/** Ends what a test that failed has left running, without its grace period. */
async function end(engine) {
  await engine.cancelAll({ graceMs: 0 });
  await engine.shutdown();
}

/** Records every event of an engine, in the order in which a listener got them. */
class Recorder {
  #byId = new Map();
  #waiting = new Set();

  constructor(engine) {
    engine.on('event', (event) => this.#take(event));
  }

  #take(event) {
    const known = this.#byId.get(event.executionId);
    if (known) known.push(event);
    else this.#byId.set(event.executionId, [event]);
    for (const waiter of this.#waiting) {
      if (waiter.matches(event)) {
        this.#waiting.delete(waiter);
        waiter.resolve(event);
      }
    }
  }

  /** Returns the events of one execution so far. */
  of(id) {
    return this.#byId.get(id) ?? [];
  }

  /** Returns the types of the events of one execution so far. */
  types(id) {
    return this.of(id).map((event) => event.type);
  }

  /** Returns the lines of one stream, with their pieces put together. */
  lines(id, type = 'stdout') {
    return wholeLines(this.of(id).filter((event) => event.type === type));
  }

  /** Waits for the first event, past or to come, that matches. */
  first(matches) {
    for (const list of this.#byId.values()) {
      const found = list.find(matches);
      if (found) return Promise.resolve(found);
    }
    return new Promise((resolve) => this.#waiting.add({ matches, resolve }));
  }

  /** Waits for the first line, past or to come, with this text. */
  line(text, id) {
    return this.first((event) => event.line === text && (id === undefined || event.executionId === id));
  }

  /** Checks that each execution has gapless events from 0 and exactly one terminal event, which is the last. */
  async check() {
    await turn();
    for (const [id, events] of this.#byId) checkEvents(events, id);
  }
}

/** Checks that the events are gapless from 0, with exactly one terminal event and nothing after it. */
export function checkEvents(events, id = events[0]?.executionId) {
  const isFinal = (event) => FINAL.includes(event.type) || (event.type === 'progress' && event.status !== 'running');
  const ends = events.filter(isFinal).length;
  const last = events.at(-1);
  assert.equal(ends, 1, `execution ${id} has one terminal event, not ${ends}`);
  assert.ok(isFinal(last), `nothing comes after the terminal event of ${id}, but ${last.type} did`);
  events.forEach((event, index) => {
    assert.equal(event.sequence, index, `the events of ${id} count from 0 without a gap`);
    assert.equal(event.executionId, id);
  });
}

/** Returns the lines that the pieces make up. */
export function wholeLines(events) {
  const lines = [];
  let open = '';
  for (const event of events) {
    open += event.line;
    if (event.partial || event.continued) continue;
    lines.push(open);
    open = '';
  }
  assert.equal(open, '', 'the last line has an end');
  return lines;
}

/**
 * Runs a command in a terminal, and runs it again, up to ten times, if one of its lines came in pieces: on a busy machine the command may pause
 * between two writes. Returns its result and its lines. `isCut` recognizes pieces that such a pause makes and that are not `partial`.
 */
export async function uncut({ engine, events }, request, isCut = () => false) {
  for (let tries = 1; ; tries++) {
    const result = await engine.run(request, { terminal: true });
    const lines = events.of(result.id).filter(({ type }) => type === 'stdout');
    if (tries === 10 || !lines.some((piece) => piece.partial || isCut(piece))) return { result, lines };
  }
}

/** The configuration of an engine that writes what is above 10 bytes into files. */
export const spilling = (overflowDir) => ({
  oversizedOutputStrategy: 'streamToFile',
  overflowDir,
  minFreeDiskBytes: 0,
  maxOutputSizeBytes: 10,
});
