// Runs a deployment as a plan: `node examples/plan.mjs [picture.svg]`.
//
// The plan has a diamond (fetch → server and client → bundle → release), an unreliable step that is retried, and a branch that fails
// without stopping the rest. On a terminal each step has a line of its own, which changes while the plan runs.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { ExecutionEngine, toSvg } from '@escher/execution-engine';

const workdir = mkdtempSync(path.join(os.tmpdir(), 'plan-'));

/** Returns a command that writes its progress as lines for the given number of tenths of a second. */
const work = (/** @type {string} */ label, /** @type {number} */ tenths, after = ':') => ({
  command: /** @type {const} */ ({
    type: 'shell',
    command: `for i in $(seq ${tenths}); do echo "$((i * 100 / ${tenths})) %"; sleep 0.1; done; ${after}`,
  }),
  workingDir: workdir,
  metadata: { label },
});

/** @satisfies {import('@escher/execution-engine').ExecutionPlan} */
const plan = {
  description: 'Deploy the shop',
  strategy: {
    type: /** @type {const} */ ('dependency_graph'),
    dependencies: { 1: [0], 2: [0], 3: [1, 2], 4: [3], 5: [4], 6: [0], 7: [6] },
  },
  commands: [
    work('fetch the sources', 3),
    work('build the server', 8),
    work('build the client', 5),
    work('bundle', 2),
    // The service is not ready at once: the first two attempts cannot connect.
    work('upload', 2, 'echo >> tries; [ $(grep -c "" tries) -ge 3 ] || { echo "connection refused" >&2; exit 7; }'),
    work('release', 2),
    work('check the links', 4, 'echo "2 dead links" >&2; exit 1'),
    work('publish the docs', 2),
  ],
};

const isTerminal = process.stdout.isTTY === true;
const paint = (/** @type {number} */ code, /** @type {string} */ text) =>
  isTerminal && !process.env.NO_COLOR ? `\x1b[${code}m${text}\x1b[0m` : text;
const SIGNS = { waiting: '·', running: '▶', retry: '↻', completed: '✔', failed: '✘', timeout: '✘', cancelled: '✘', skipped: '–' };
const COLOURS = { waiting: 2, running: 36, retry: 33, completed: 32, failed: 31, timeout: 31, cancelled: 31, skipped: 2 };

/** @typedef {keyof typeof SIGNS} State */
/** @typedef {{ label: string, state: State, note: string }} Row */

/** The known state of each step, and its display. */
class Board {
  #rows = plan.commands.map(({ metadata }) => /** @type {Row} */ ({ label: metadata.label, state: 'waiting', note: '' }));
  #drawn = false;

  /**
   * Sets the known state of a step. Without a terminal, a change of the state is printed as a line.
   *
   * @param {number | undefined} step
   * @param {State} state
   */
  set(step, state, note = '') {
    const row = this.#rows[step ?? -1];
    if (!row) return;
    const isNews = row.state !== state || state === 'retry';
    Object.assign(row, { state, note });
    if (isTerminal) this.#draw();
    else if (isNews) console.log(this.#line(row));
  }

  /** Draws all lines over the previous ones. */
  #draw() {
    const back = this.#drawn ? `\x1b[${this.#rows.length}A` : '';
    process.stdout.write(back + this.#rows.map((row) => `\x1b[2K${this.#line(row)}\n`).join(''));
    this.#drawn = true;
  }

  /** @param {Row} row */
  #line({ label, state, note }) {
    return `${paint(COLOURS[state], `${SIGNS[state]} ${label.padEnd(18)}`)} ${paint(2, note)}`.trimEnd();
  }
}

const seconds = (/** @type {number} */ ms) => `${(ms / 1000).toFixed(1)} s`;
const engine = new ExecutionEngine({ maxConcurrentExecutions: 3 });
const stream = engine.streamPlan(plan, {
  deadlineMs: 60_000,
  steps: { 4: { retry: { attempts: 5, backoffMs: 300, on: [7] } } },
});

console.log(paint(1, plan.description));
const board = new Board();
for await (const event of stream) {
  const { type, step } = event;
  if (type === 'started') board.set(step, 'running');
  else if (type === 'stdout' || type === 'stderr') board.set(step, 'running', event.line);
  else if (type === 'retry')
    board.set(step, 'retry', `attempt ${event.attempt} of ${event.attempts} failed, the next one in ${seconds(event.delayMs)}`);
  else if (type === 'completed' || type === 'failed')
    board.set(step, type, `${seconds(event.result.durationMs)}${type === 'failed' ? `, exit code ${event.result.exitCode}` : ''}`);
}

const result = await stream.result;
for (const { index, because } of result.skipped) board.set(index, 'skipped', `step ${because} did not complete`);

const { completed, failed, skipped, retries } = result.stats;
console.log(
  `\n${result.status} in ${seconds(result.totalDurationMs)}: ${completed} completed, ${failed} failed, ${skipped} skipped, ${retries} retries`,
);
const [picture] = process.argv.slice(2);
if (picture) {
  writeFileSync(picture, toSvg(result));
  console.log(`a picture of it is in ${picture}`);
}
rmSync(workdir, { recursive: true });

// The intended outcome: the shop is released, and the documentation is not.
process.exitCode = completed === 6 && failed === 1 && skipped === 1 && retries === 2 ? 0 : 1;
