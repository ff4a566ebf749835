// A plan as a trace and as a picture.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { toSvg, toTrace } from '../index.js';
import { newEngine } from './helpers/engine.mjs';
import { flaky, graph, labelled, serial } from './helpers/plans.mjs';
import { folder, nothing, shell, untilFile } from './helpers/programs.mjs';

/** Runs a diamond whose one side is slow and whose other side is retried, and a branch that fails. */
async function performed(t) {
  const engine = newEngine(t, { maxConcurrentExecutions: 8 });
  const counter = path.join(folder(t), 'runs');
  const steps = [
    labelled('fetch', shell('sleep 0.1')),
    // This step ends after the other side.
    labelled('slow <side> & "quotes"', untilFile(`${counter}.done`)),
    labelled('flaky', flaky(counter, 1, 1)),
    labelled('join', shell('sleep 0.05')),
    labelled('bad', shell('exit 3')),
    labelled('after bad \u0000\u001b[31m', nothing),
    labelled('late', { ...shell('exec sleep 60'), timeoutMs: 50 }),
  ];
  const plan = { ...graph({ 1: [0], 2: [0], 3: [1, 2], 5: [4] }, steps), description: 'deploy </svg> & more' };
  // The slow step may end when the flaky one has.
  engine.on('completed', ({ step }) => step === 2 && writeFileSync(`${counter}.done`, ''));
  const result = await engine.runPlan(plan, { steps: { 2: { retry: { attempts: 2, backoffMs: 60, on: ['exit'] } } } });
  // No request has half of a pair; a result that was stored and read again may have one.
  result.steps[5].name += '\ud800';
  return result;
}

/** Returns the elements of a document; throws unless each is closed where it must be. */
function elements(xml) {
  const open = [];
  const found = [];
  const rest = xml.replace(/<(\/?)([a-z]+)((?: [\w:-]+="[^"<]*")*)(\/?)>([^<]*)/g, (_, close, name, attributes, isEmpty, content) => {
    assert.doesNotMatch(content, /&(?!#\d+;)/, 'what is no markup is escaped');
    if (close) assert.equal(open.pop(), name);
    else {
      found.push({ name, attributes, content: content.replace(/&#(\d+);/g, (__, code) => String.fromCharCode(code)) });
      if (!isEmpty) open.push(name);
    }
    return '';
  });
  assert.equal(rest.trim(), '', 'it is nothing but elements');
  assert.deepEqual(open, []);
  return found;
}

test('the picture has a bar for each attempt of each step, and marks the critical path', async (t) => {
  const plan = await performed(t);
  const svg = toSvg(plan);
  const all = elements(svg);
  const texts = all.filter(({ name }) => name === 'text').map(({ content }) => content);
  assert.ok(texts.includes('deploy </svg> & more'));
  assert.ok(
    texts.some((text) => text.startsWith('failed in ') && text.includes('7 steps, 4 completed, 1 failed, 1 timeout, 1 skipped, 1 retry')),
    texts.join('\n'),
  );
  for (const { index, name } of plan.steps.slice(0, 5))
    assert.ok(
      texts.some((text) => text.startsWith(`${index}  ${name}`)),
      name,
    );
  assert.ok(texts.includes('skipped (dependency): step 4 did not complete'));
  assert.doesNotMatch(svg, /[\u0000-\u0008\u001b]/, 'no control character comes through');

  const titles = all.filter(({ name }) => name === 'title').map(({ content }) => content);
  assert.ok(titles.some((title) => /^flaky, attempt 1: failed \(exit 1\)/.test(title)));
  assert.ok(titles.some((title) => /^flaky, attempt 1: pause/.test(title)));
  assert.ok(titles.some((title) => /^flaky, attempt 2: completed/.test(title)));
  assert.ok(titles.some((title) => /^late, attempt 1: timeout/.test(title)));

  // The names of the steps on the critical path are bold.
  const marked = all
    .filter(({ name, attributes }) => name === 'text' && /font-weight="600" fill/.test(attributes))
    .map(({ content }) => content);
  assert.deepEqual(
    marked.map((text) => Number.parseInt(text, 10)),
    [0, 1, 3],
  );
});

test('the trace has the same on a clock', async (t) => {
  const plan = await performed(t);
  const { traceEvents, displayTimeUnit } = JSON.parse(toTrace(plan));
  assert.equal(displayTimeUnit, 'ms');
  const spans = traceEvents.filter(({ ph }) => ph === 'X');
  assert.ok(spans.every(({ ts, dur }) => Number.isInteger(ts) && ts >= 0 && Number.isInteger(dur) && dur >= 0));
  const of = (index) => spans.filter(({ tid, args }) => tid === index + 1 && args.outcome);
  plan.results.forEach((result) => {
    const { index } = plan.steps.find(({ id }) => id === result.id);
    assert.equal(of(index).length, result.attempt);
    assert.equal(of(index).at(-1).dur, Math.round(result.durationMs * 1000));
  });
  assert.deepEqual(
    of(2).map(({ args }) => [args.attempt, args.outcome]),
    [
      [1, 'failed (exit 1)'],
      [2, 'completed'],
    ],
  );
  assert.ok(of(1)[0].ts >= of(0)[0].ts + of(0)[0].dur - 1000, 'what waits begins later, to the grain of a Date');
  assert.deepEqual(
    [0, 1, 2, 3].map((index) => of(index)[0].args.isCritical),
    [true, true, false, true],
  );
  assert.equal(traceEvents.find(({ ph, tid }) => ph === 'i' && tid === 6).name, 'skipped (dependency): step 4 did not complete');
  assert.deepEqual(spans[0].args, { planId: plan.planId, status: 'failed', ...plan.stats });
});

test('a result that was stored and read again gives the same', async (t) => {
  const plan = await performed(t);
  const dates = ['startedAt', 'completedAt'];
  const again = JSON.parse(JSON.stringify(plan), (key, value) => (dates.includes(key) ? new Date(value) : value));
  assert.equal(toSvg(again), toSvg(plan));
  assert.equal(toTrace(again), toTrace(plan));
});

test('there is always something to see', async (t) => {
  const engine = newEngine(t);
  for (const plan of [await engine.runPlan(serial([nothing])), await engine.runPlan(serial([nothing]), { signal: AbortSignal.abort() })]) {
    assert.ok(elements(toSvg(plan)).length > 10);
    assert.doesNotMatch(toSvg(plan), /NaN|undefined|Infinity/);
    assert.ok(JSON.parse(toTrace(plan)).traceEvents.length > 3);
  }
});
