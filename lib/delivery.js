'use strict';

const channels = require('./diagnostics-channel.js');
const { contain, each, setImmediate } = require('./caller-code.js');
const { readBatch } = require('./batch-decoder.js');
const { mark } = require('./pending.js');

/** @typedef {import('../index.js').ExecutionEvent} ExecutionEvent */
/** @typedef {import('../index.js').OutputEvent<'stdout' | 'stderr', string | Buffer>} OutputEvent */
/** @typedef {import('../index.js').DataEvent<string | Buffer>} DataEvent */
/** @typedef {InstanceType<typeof import('./in-flight.js').InFlight>} InFlight */
/** @typedef {InstanceType<typeof import('./listeners.js').Listeners>} Listeners */
/** @typedef {InstanceType<typeof import('./plan.js').PendingPlan>} Plan */
/** @typedef {InstanceType<typeof import('./abort-signal.js').AbortReasons>} AbortReasons */
/** @typedef {import('./pending.js').PendingExecution} PendingExecution */
/** @typedef {import('../binding.js').NativeEngine} NativeEngine */

// The function as it was when this file was loaded: a test may stop the clock. `performance` is not used: its first use loads a dozen
// modules of Node.js.
const uptime = process.uptime.bind(process);
const now = () => uptime() * 1_000;
/** JavaScript works through batches for so long before other work of the event loop has its turn, in ms. */
const TURN_MS = 4;
const ALL = 2 ** 32 - 1;
/** A batch with fewer numbers than this needs no array of its own. */
const SHORT_BATCH = 2048;

/**
 * Takes the events of an engine from the addon and gives them to listeners, streams and waiters, in the asynchronous context of the
 * call that they belong to. What breaks one of them leaves the others as they are.
 */
class Delivery {
  /** @type {NativeEngine} */ #native;
  /** @type {InFlight} */ #inFlight;
  /** @type {Listeners} */ #listeners;
  /** @type {AbortReasons} */ #reasons;
  /** @type {((status: import('../index.js').ExecutionFeedback) => void) | undefined} */ #feedback;
  /** The numbers of the batch that was taken last, if it was short. */
  #numbers = new Float64Array(SHORT_BATCH);
  /**
   * The time at which the first lines of this turn of the event loop arrived; 0 after the turn. The addon may call several times in one
   * turn: a reader that makes room for more is called back for it at once, and other work would wait until all has been read.
   */
  #turn = 0;
  /**
   * Whether a stream that is read by arrays has its next one. Other work has its turn then: if one array had all that is ready, each
   * garbage collection during the turn would copy it.
   */
  #isReaderServed = false;
  #goOn = () => {
    this.#turn = 0;
  };
  /**
   * The number of secrets that were added, and the number of those before the last batch: results that were sent before may show others.
   */
  #secrets = 0;
  #secretsBefore = 0;
  /** @type {import('./batch-decoder.js').Consumer<PendingExecution | Plan>} */ #consumer;

  /**
   * @param {NativeEngine} native
   * @param {InFlight} inFlight
   * @param {Listeners} listeners
   * @param {AbortReasons} reasons Why executions were aborted, kept past their end.
   * @param {((status: import('../index.js').ExecutionFeedback) => void) | undefined} feedback
   */
  constructor(native, inFlight, listeners, reasons, feedback) {
    this.#native = native;
    this.#inFlight = inFlight;
    this.#listeners = listeners;
    this.#reasons = reasons;
    this.#feedback = feedback;
    this.#consumer = {
      find: (handle) => this.#inFlight.at(handle),
      id: (pending) => pending.id,
      event: (pending, event) => {
        mark(/** @type {PendingExecution} */ (pending), event);
        pending.context.runInAsyncScope(listeners._dispatch, listeners, event.type, [event]);
        pending.queue?.push([event]);
      },
      lines: (pending, events) => this.#lines(/** @type {PendingExecution} */ (pending), events),
      input: (pending, isWanted) => {
        const { context, input } = /** @type {PendingExecution} */ (pending);
        if (input) context.runInAsyncScope(contain, undefined, () => input[isWanted ? 'wanted' : 'close']());
      },
      end: (type, pending, event, outcome) =>
        pending.context.runInAsyncScope(this.#end, this, type, /** @type {PendingExecution} */ (pending), event, outcome),
      exited: (id, result) => (this.#secrets > this.#secretsBefore ? this.#masked(id, result) : result),
      outcome: (position) => /** @type {object} */ (this.#native.outcome(position)),
      progress: (plan, event, outcome) => plan.context.runInAsyncScope(this.#progress, this, /** @type {Plan} */ (plan), event, outcome),
      planOutcome: (position) => /** @type {object} */ (this.#native.planOutcome(position)),
    };
  }

  /** Takes batch after batch. Nothing is thrown out of it: it is called by the addon. */
  drain() {
    const started = this.#turn || now();
    this.#isReaderServed = false;
    while (now() - started <= TURN_MS) {
      const secrets = this.#secrets;
      const batch = this.#native.take(this.#numbers);
      const isLast = batch === null || (typeof batch === 'string' && /** @type {number} */ (this.#numbers[0]) < 0);
      if (batch !== null) readBatch(batch, this.#numbers, this.#consumer);
      if (isLast) {
        this.#secretsBefore = secrets;
        return;
      }
      if (this.#isReaderServed) break;
    }
    setImmediate(() => this.drain());
  }

  /** Records that a secret was added: results that were sent before may show it. */
  secretAdded() {
    this.#secrets += 1;
  }

  /**
   * @param {string} id
   * @param {import('../index.js').ExecutionResult} result
   */
  #masked(id, result) {
    result.stdout = this.#native.maskOutput(id, /** @type {string} */ (result.stdout));
    result.stderr = this.#native.maskOutput(id, /** @type {string} */ (result.stderr));
    return result;
  }

  /**
   * @param {PendingExecution} pending
   * @param {(OutputEvent | DataEvent)[]} events
   */
  #lines(pending, events) {
    if (this.#turn === 0) {
      this.#turn = now();
      setImmediate(this.#goOn);
    }
    const type = /** @type {OutputEvent | DataEvent} */ (events[0]).type;
    if (pending.planId !== undefined)
      for (let index = 0; index < events.length; index++) mark(pending, /** @type {object} */ (events[index]));
    if (this.#listeners._hasListeners(type)) pending.context.runInAsyncScope(this.#listeners._dispatch, this.#listeners, type, events);
    if (pending.queue?.push(/** @type {ExecutionEvent[]} */ (events), pending.handle)) this.#isReaderServed = true;
  }

  /** An error in one of the parts does not prevent the others. @type {import('./batch-decoder.js').Consumer<PendingExecution>['end']} */
  #end(type, pending, makeEvent, outcome) {
    const { id, abort, input, queue, trace } = pending;
    this.#inFlight.remove(pending);
    if (abort) {
      contain(() => {
        if (abort.fired && type === 'cancelled') {
          const aborted = { reason: abort.reason };
          outcome().aborted = aborted;
          this.#reasons.keep(id, aborted);
        }
        abort.forget();
      });
    }
    if (input) contain(() => input.close());
    const feedback = this.#feedback;
    // Called before a listener gets the result, which the listener may change.
    if (feedback) contain(() => feedback(require('./feedback.js').statusOf(this.#native, outcome().facts)));
    contain(() => {
      if (queue || this.#listeners._hasListeners(type)) this.#dispatchEnd(type, pending, makeEvent);
    });
    if (queue) {
      if (pending.planId === undefined) contain(() => queue.end());
      // The child is gone: nothing is held up by lines that were not read yet.
      this.#native.release(pending.handle, ALL);
    }
    if (trace) contain(() => channels.finish(trace, type, outcome()));
    if (pending.waiters.size > 0) {
      const ended = outcome();
      ended.cause = input?.failure;
      each(pending.waiters, (waiter) => waiter(ended));
    }
    if (pending.planId === undefined) pending.context.emitDestroy();
  }

  /**
   * Ends an execution without events for which this thread has waited.
   *
   * @param {InstanceType<typeof import('./result.js').Outcome>} outcome
   */
  endedAtOnce(outcome) {
    const { aborted } = outcome;
    const feedback = this.#feedback;
    const isWatched = channels.isWatched();
    if (!aborted && !feedback && !isWatched) return;
    const { facts } = outcome;
    if (aborted && facts.reason === 'aborted') this.#reasons.keep(facts.id, aborted);
    if (feedback) contain(() => feedback(require('./feedback.js').statusOf(this.#native, facts)));
    if (!isWatched) return;
    const trace = contain(() => channels.begin(facts.id, this.#native.command(facts.id) ?? '', structuredClone(facts.metadata)));
    if (trace) contain(() => channels.finish(trace, facts.status, outcome));
  }

  /**
   * @param {import('../index.js').EndEvent['type']} type
   * @param {PendingExecution} pending
   * @param {() => import('../index.js').EndEvent} makeEvent
   */
  #dispatchEnd(type, pending, makeEvent) {
    const event = /** @type {ExecutionEvent} */ (makeEvent());
    mark(pending, event);
    this.#listeners._dispatch(type, [event]);
    pending.queue?.push([event]);
  }

  /** @type {import('./batch-decoder.js').Consumer<Plan>['progress']} */
  #progress(plan, event, outcome) {
    if (outcome) {
      outcome().reasons = this.#reasons;
      contain(() => plan.forgetSignals());
      contain(() => this.#inFlight.removePlan(plan));
    }
    contain(() => {
      if (plan.queue || this.#listeners._hasListeners('progress')) this.#listeners._dispatch('progress', [event]);
      plan.queue?.push([event]);
    });
    if (!outcome) return;
    contain(() => plan.queue?.end());
    each(plan.waiters, (waiter) => waiter(outcome()));
    plan.context.emitDestroy();
  }
}

module.exports = { Delivery };
