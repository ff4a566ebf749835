// The documentation says what is so: its examples run, its links lead somewhere, and it leaves nothing out.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { ExecutionEngine } from '../index.js';
import { newEngine } from './helpers/engine.mjs';
import { nothing } from './helpers/programs.mjs';
import {
  NO_COMPILER,
  Workshop,
  anchors,
  blocks,
  commands,
  decisions,
  isShown,
  links,
  members,
  page,
  pages,
  root,
  table,
  typeNames,
  union,
} from './helpers/snippets.mjs';
import { NO_WAITS } from './helpers/waits.mjs';

const everyBlock = pages().flatMap(blocks);

/** The commands that pages may show, and the test that runs each. */
const COMMANDS = new Map([
  ['npm i @escher/execution-engine', 'npm run test:consumers'],
  ['npm install', '.ci/run, as npm ci'],
  ['npm test', '.ci/run'],
  ['npm test -- --list', 'this file'],
  ['npm run bench', 'people: it takes minutes'],
  ['npm run bench:rust', 'people: it takes minutes'],
  ['node scripts/guard.mjs --update', 'people, after a look at what it changes'],
  ['npm run build', 'npm test: its step build'],
  ['npm run check', 'people: its steps are parts of npm test'],
  ['cargo install --locked cargo-mutants', 'people: it is a tool of development'],
  ['cargo mutants --in-place --timeout 90 -f src/output/head_tail_buffer.rs -- --lib output', 'people: it takes a quarter of an hour'],
  [
    'cargo mutants --in-place --timeout 90 --sharding round-robin --shard 0/8 -f src/plan/plan_state.rs -- --lib plan',
    'people: it takes a quarter of an hour',
  ],
  ['npm run format', 'people: npm test, its steps fmt and lint, checks what it writes'],
  ['npm run test:watch', 'people: it does not end'],
  ['npm run test:watch -- run stream', 'people: it does not end'],
  ['python3 -m pip install -r .ci/tools.txt', '.ci/run'],
  ['npm test -- --only rust', 'npm test: its step rust'],
  ['npm test -- --only js', 'npm test: its step js'],
  ['node --test __test__/run.test.mjs', 'npm test: its step js'],
  ['cargo test --test engine timeouts', 'npm test: its step rust'],
  ['node examples/node-caller.ts', 'this file'],
  ['node examples/execution-manager.mjs', '__test__/examples.test.mjs'],
  ['node examples/opentelemetry.mjs', '__test__/examples.test.mjs'],
  ['node examples/terminal.mjs vi notes.txt', '__test__/examples.test.mjs'],
  ['node examples/interactive.mjs', '__test__/examples.test.mjs'],
  ['node --expose-gc scripts/soak.mjs', 'npm run test:stress; a tenth of it __test__/soak.test.mjs'],
  ['npm run test:tauri', 'people: compiling Tauri takes minutes, and needs libraries of the system'],
  ['npm run test:stress', 'people: it takes an hour'],
  ['npm run test:types', 'CI, its job package'],
  ['npm run test:advisories', 'CI, its workflow advisories'],
  ['npm run test:runtimes', 'npm test, its step runtimes, in part'],
  ['npm run cross', 'npm run test:cross, in part'],
  ['npm run test:cross', 'CI, its job cross'],
  ['npm run test:consumers', 'CI, its job package'],
  ['npm run release:check', 'CI, its job package'],
  ['node scripts/packages.mjs', 'npm test: its step generated, with --check'],
  ['node scripts/addon.mjs execution-engine.*.node', 'the workflow of a release'],
  ['node examples/plan.mjs', '__test__/plan-example.test.mjs'],
]);
/** The blocks that this file runs, as Node.js arguments. */
const RUN_HERE = ['examples/node-caller.ts', 'scripts/test.mjs --list'];

/** The languages of blocks; other blocks are only read by people, and a compiler or a test has them elsewhere. */
const LANGUAGES = ['js', 'mjs', 'cjs', 'ts', 'rust', 'sh', 'text', 'toml'];

test('every block says its language', () => {
  for (const { at, language } of everyBlock) assert.ok(LANGUAGES.includes(language), `${at}: ${language || 'no language'}`);
});

describe('examples', { concurrency: 2 }, () => {
  const workshop = new Workshop();
  const examples = everyBlock.filter(Workshop.takes);
  let compiled;
  before(() => {
    for (const block of examples) workshop.add(block);
    compiled = NO_COMPILER ? Promise.resolve('') : workshop.compile();
  });
  after(() => workshop.close());

  test('have the right types', { skip: NO_COMPILER }, async () => assert.equal(await compiled, ''));

  for (const block of examples) {
    test(block.at, { skip: missing(block) }, async () => {
      await compiled;
      for (let triesLeft = hasTimes(block) ? 4 : 0; ; triesLeft--) {
        const { code, signal, stdout, stderr } = await workshop.run(block);
        assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
        if (block.output === undefined || isShown(block.output, stdout)) break;
        assert.ok(triesLeft > 0, `it printed\n${stdout}\nand the page shows\n${block.output}`);
      }
    });
  }

  for (const args of RUN_HERE) {
    test(args, async () => {
      // The standard error is not compared: some versions of Node.js warn there of what they do with TypeScript.
      const { code, signal, stdout, stderr } = await workshop.runOwn(...args.split(' '));
      assert.deepEqual({ code, signal }, { code: 0, signal: null }, stdout + stderr);
    });
  }
});

test('every command of a page is run', () => {
  for (const block of everyBlock.filter(({ language }) => language === 'sh')) {
    for (const command of commands(block)) assert.ok(COMMANDS.has(command), `${block.at}: no test runs ${JSON.stringify(command)}`);
  }
});

test('every link leads somewhere', () => {
  for (const one of [...pages(), ...decisions()]) {
    for (const { target, file, anchor } of links(one)) {
      assert.ok(existsSync(path.join(root, file)), `${one.name}: there is no ${target}`);
      if (anchor !== undefined) assert.ok(anchors(page(file)).includes(anchor), `${one.name}: ${target} has no such heading`);
    }
  }
});

test('each configuration of a bundler is one that is run', () => {
  const consumers = readFileSync(path.join(root, 'scripts', 'consumers.mjs'), 'utf8').replace(
    /\$\{NAME\}|\bNAME\b/g,
    '@escher/execution-engine',
  );
  const words = (text) =>
    text
      .replace(/['"`,]/g, ' ')
      .split(/\s+/)
      .filter(Boolean)
      .join(' ');
  for (const { Bundler, Configuration } of table(page('README.md'), '## Bundlers')) {
    const isRun = !Configuration.includes('not run yet');
    for (const [, option] of isRun ? Configuration.matchAll(/`([^`]+)`/g) : [])
      assert.ok(words(consumers).includes(words(option)), `${Bundler}: ${option}`);
  }
});

test('every decision is linked to from a page, and files that it names are there', () => {
  const targets = pages()
    .flatMap(links)
    .map(({ file }) => file);
  for (const { name, text } of decisions()) {
    assert.ok(targets.includes(name), `no page links to ${name}`);
    for (const [, file] of text.matchAll(/`((?:src|lib|benches)\/[\w./-]+)`/g))
      assert.ok(existsSync(path.join(root, file)), `${name}: there is no ${file}`);
  }
});

test('the front page and the index lead to every page', () => {
  const targets = ['README.md', 'docs/README.md'].flatMap((name) => links(page(name))).map(({ file }) => file);
  for (const { name } of pages()) if (name !== 'README.md') assert.ok(targets.includes(name), name);
});

test('a page about moving from another package has an "after" with the same output for each "before"', () => {
  for (const name of ['docs/migrate-from-child-process.md', 'docs/migrate-from-execa.md']) {
    const examples = blocks(page(name)).filter(Workshop.takes);
    const isBefore = ({ code }) => !code.includes('@escher/execution-engine');
    const before = examples.filter(isBefore);
    assert.ok(before.length >= 5, `${name} has ${before.length} pairs`);
    for (const one of before) {
      const after = examples[examples.indexOf(one) + 1];
      assert.ok(after && !isBefore(after), `${one.at} has no program after it`);
      assert.equal(after.output, one.output, after.at);
    }
  }
});

describe('nothing is left out', () => {
  const says = (name, word) => has(name, word, new RegExp(`\`${word}\\b`));
  const headed = (name, word) => has(name, word, new RegExp(`^##+ .*\\b${word}\\b`, 'm'));
  const has = (name, word, pattern) => assert.ok(pattern.test(page(name).text), `${name} says nothing of ${word}`);

  test('error codes', () => {
    for (const code of union('ErrorCode')) headed('docs/error-handling.md', code);
  });

  test('methods', () => {
    for (const member of members('ExecutionEngine')) headed('docs/api.md', member);
  });

  test('events', () => {
    for (const event of members('ExecutionEvents')) says('docs/api.md', event);
  });

  test('types', () => {
    for (const name of typeNames()) has('docs/types.md', name, new RegExp(`(\`|^## )${name}\\b`, 'm'));
    for (const word of [...union('ExecutionStatus'), ...union('Reason'), ...union('InheritEnv')]) says('docs/types.md', `'?${word}`);
  });

  for (const name of ['ExecutionConfig', 'ExecutionOptions']) {
    test(`fields of ${name}, and none that are not there`, () => {
      const rows = table(page('docs/configuration.md'), `## ${name}`);
      assert.deepEqual(rows.map((row) => bare(row.Field)).sort(), members(name).sort());
    });
  }

  test('an option has the same words as the setting, whose row is generated', () => {
    const words = ({ Range }) => (Range.includes("'") ? [bare(Range)] : []);
    const settings = new Map(table(page('docs/configuration.md'), '## ExecutionConfig').map((row) => [bare(row.Field), words(row)]));
    const options = table(page('docs/configuration.md'), '## ExecutionOptions').filter(({ Field }) => settings.get(bare(Field))?.length);
    assert.ok(options.length >= 8, `${options.length} options with words`);
    for (const row of options) assert.deepEqual(words(row), settings.get(bare(row.Field)), row.Field);
  });

  const described = [
    'ExecutionRequest',
    'ExecutionResult',
    'ExecutionMetadata',
    'ErrorInfo',
    'Diagnosis',
    'ExecutionFilter',
    'ExecutionSummary',
    'ExecutionStats',
    'Percentiles',
    'ConcurrencyMetrics',
    'ExecutionFeedback',
    'ExecutionTrace',
    'ExecutionError',
    'FailedAttempt',
  ];
  for (const name of described) {
    test(`fields of ${name}, and none that are not there`, () => {
      const rows = table(page('docs/types.md'), `## ${name}`);
      assert.deepEqual(rows.flatMap((row) => row.Field.split(', ').map(bare)).sort(), members(name).sort());
    });
  }

  for (const name of ['ExecutionPlan', 'PlanExecutionResult', 'PlanOptions']) {
    test(`fields of ${name}, and none that are not there`, () => {
      const rows = table(page('docs/plans.md'), `## ${name}`);
      assert.deepEqual(rows.map((row) => bare(row.Field)).sort(), members(name).sort());
    });
  }

  test('fields of a retry, and none that are not there', () => {
    const rows = table(page('docs/plans.md'), '## Retry');
    assert.deepEqual(rows.map((row) => bare(row.Field)).sort(), members('RetryOptions').sort());
  });

  test('what else belongs to plans', () => {
    for (const name of [
      'SerialStrategy',
      'ParallelStrategy',
      'DependencyGraphStrategy',
      'PlanStep',
      'SkippedStep',
      'PlanStats',
      'ProgressEvent',
      'RetryEvent',
      'PlanStream',
    ]) {
      for (const field of members(name)) has('docs/plans.md', field, new RegExp(`\\b${field}\\b`));
    }
    for (const reason of union('SkipReason')) says('docs/plans.md', reason);
  });

  test('files of lib, and the parts of the platform that are named', () => {
    const { text } = page('docs/architecture.md');
    const listed = text.slice(text.indexOf('In `lib/` each file'), text.indexOf('`scripts/bundle.mjs`'));
    const files = readdirSync(path.join(root, 'lib')).filter((name) => name.endsWith('.js'));
    const names = [...listed.matchAll(/`([\w-]+)`/g)].map(([, name]) => `${name}.js`);
    assert.deepEqual(names.sort(), files.sort());
    for (const { Part } of table(page('docs/architecture.md'), '## How a tree is ended')) {
      for (const part of Part.split(', ').map(bare)) {
        const found = [`${part}.rs`, part].some((name) => existsSync(path.join(root, 'src', 'platform', 'unix', name)));
        assert.ok(found, `src/platform/unix has no ${part}`);
      }
    }
  });

  test('fields of commands and of events', () => {
    for (const name of [
      'ShellCommand',
      'ExecCommand',
      'ScriptCommand',
      'AwsCliCommand',
      'EventBase',
      'QueuedEvent',
      'StartedEvent',
      'DegradedEvent',
      'RetryEvent',
      'ProgressEvent',
      'OutputEvent',
      'EndEvent',
      'ExecutionStream',
      'PlanStream',
    ]) {
      for (const field of members(name)) says('docs/types.md', field);
    }
  });
});

describe('numbers', () => {
  const settings = table(page('docs/configuration.md'), '## ExecutionConfig');
  const options = table(page('docs/configuration.md'), '## ExecutionOptions');

  test('defaults', (t) => {
    const { config } = newEngine(t);
    for (const { Field, Default } of settings) assert.deepEqual(value(Default), config[bare(Field)], Field);
  });

  test('ranges of settings', () => {
    const accepts = (field, given) => {
      // The longest timeout bounds the default one.
      const others =
        field === 'defaultTimeoutMs' ? { maxTimeoutMs: 31_536_000_000 } : field === 'maxTimeoutMs' ? { defaultTimeoutMs: 1 } : {};
      new ExecutionEngine({ ...others, [field]: given });
    };
    for (const { Field, Range } of settings) checkRange(bare(Field), Range, accepts, 'INVALID_CONFIG');
  });

  test('ranges of options', async (t) => {
    const engine = newEngine(t);
    const asked = [];
    const accepts = (field, given) => asked.push([field, given]);
    const refused = (field, given) => asked.push([field, given, 'INVALID_REQUEST']);
    for (const { Field, Range } of options)
      eachOfRange(
        Range,
        (given) => accepts(bare(Field), given),
        (given) => refused(bare(Field), given),
      );
    for (const [field, given, code] of asked) {
      const run = engine.run(nothing, { [field]: given });
      if (code) await assert.rejects(run, { code }, `${field}: ${given}`);
      // The shortest time without output may well end it.
      else assert.match((await run).status, field === 'idleTimeoutMs' ? /^(completed|timeout)$/ : /^completed$/, `${field}: ${given}`);
    }
  });
});

/** Whether something in an example has to happen within a time: what it prints is then another thing when the machine pauses there. */
const hasTimes = ({ code }) => /[tT]imeoutMs|AbortSignal\.timeout|setTimeout|sleep\(?[ ']*0\./.test(code);

/** Returns why a block cannot run here: a program that it starts is not installed, for example. Others that it may need have stand-ins. */
function missing({ code, language }) {
  if (language === 'ts' && NO_COMPILER) return NO_COMPILER;
  if (code.includes("on('waiting'") && NO_WAITS) return NO_WAITS;
  const needs = (name) => code.includes(`program: '${name}'`) || (name === 'bash' && /strict: true|'\/bin\/bash'/.test(code));
  const name = ['npm', 'python3', 'bash'].find((one) => needs(one) && spawnSync(one, ['--version']).status !== 0);
  return name === undefined ? false : `${name} is NOT INSTALLED: this example was not run`;
}

/** Returns a cell without its code marks and without the text in parentheses. */
function bare(cell) {
  return cell
    .replace(/\(.*?\)/g, '')
    .replaceAll('`', '')
    .trim();
}

/** Returns the value of a cell: a number, a string, a list, `none`. */
function value(cell) {
  const text = bare(cell);
  if (text === 'none') return null;
  if (text === '{}') return {};
  if (text === 'true' || text === 'false') return text === 'true';
  if (text.startsWith('[')) return [...text.matchAll(/'([^']+)'/g)].map(([, item]) => item);
  const word = /^'(\w+)'$/.exec(text);
  if (word) return word[1];
  const number = text === '2^53 − 1' ? 2 ** 53 - 1 : Number(text.replaceAll(' ', '').replace('−', '-'));
  assert.ok(Number.isFinite(number), `${cell} is not a value`);
  return number;
}

/** Calls back with values that a range holds, and with their neighbours outside. */
function eachOfRange(range, inside, outside) {
  const bounds = range.includes('`') ? [] : bare(range).split(' to ');
  const words = [...range.matchAll(/`'(\w+)'`/g)].map(([, word]) => word);
  if (bounds.length === 2) {
    const [least, most] = bounds.map(value);
    for (const good of [least, most]) inside(good);
    for (const bad of [least - 1, most + 1, least + 0.5, 'x']) outside(bad);
  } else if (words.length > 0) {
    for (const good of words) inside(good);
    outside('nonsense');
  }
}

function checkRange(field, range, accepts, code) {
  eachOfRange(
    range,
    (given) => assert.doesNotThrow(() => accepts(field, given), `${field}: ${given}`),
    (given) => assert.throws(() => accepts(field, given), { code, field }, `${field}: ${given}`),
  );
}
