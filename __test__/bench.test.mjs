// The benchmark's options and its pages. Nothing here runs a benchmark or looks at a clock.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { drawChart } from '../benches/harness/chart.mjs';
import { missedGoals, most } from '../benches/harness/goals.mjs';
import { leadersOf } from '../benches/harness/leads.mjs';
import { frontTable, missedTable, performanceTables, profileTables } from '../benches/harness/markdown.mjs';
import { findLimit } from '../benches/harness/limit.mjs';
import { readOptions } from '../benches/harness/options.mjs';
import { readSamples, whatOf } from '../benches/harness/perf.mjs';
import { merge, pagesOf, readPage, readProfiles, readPublished, replaceBetween } from '../benches/harness/publish.mjs';
import { columnText, number, ratio } from '../benches/harness/report.mjs';
import { loadRows, selectRows } from '../benches/harness/rows.mjs';
import { machine, measured, published } from './helpers/bench-rows.mjs';

const known = await loadRows();

const named = (...names) => names.map((name) => ({ name }));

test('numbers have three digits and groups of three', () => {
  assert.deepEqual(
    [0.12345, 12.345, 123.45, 1234.5, 1234567].map(number).map((text) => text.replace(/\s/g, '_')),
    ['0.123', '12.3', '123', '1_235', '1_234_567'],
  );
  assert.deepEqual([0.126, 12.34, 123.4].map(ratio), ['0.13', '12.3', '123']);
  assert.equal(columnText({ key: 'a', digits: 2 }, { a: 1.005 }), '1.00');
  assert.equal(columnText({ key: 'a', digits: 2 }, {}), '–');
});

describe('options', () => {
  test('rows and contenders are lists', () => {
    const { only, contenders, rounds } = readOptions(['--only', 'a,b', '--only', 'c', '--contenders', 'x', '--rounds', '3']);
    assert.deepEqual({ only, contenders, rounds }, { only: ['a', 'b', 'c'], contenders: ['x'], rounds: 3 });
  });

  test('a quick run has one round unless it is given more', () => {
    assert.deepEqual(
      [[], ['--quick'], ['--quick', '--rounds', '2']].map((argv) => readOptions(argv).rounds),
      [5, 1, 2],
    );
  });

  test('nonsense is refused', () => {
    for (const argv of [
      ['--rounds', '0'],
      ['--rounds', 'x'],
      ['--nonsense'],
      ['--write', '--contenders', 'engine'],
      ['--write', '--quick'],
      ['--profile', '--all'],
      ['--profile', '--only', 'captured'],
      ['--only', ','],
      ['--only', ''],
      ['--contenders', ' , '],
    ]) {
      assert.throws(() => readOptions(argv), { expected: true }, argv.join(' '));
    }
  });

  test('heavy rows run when they are named, or all are', () => {
    const rows = [
      { name: 'light', contenders: {} },
      { name: 'large', heavy: true, contenders: {} },
    ];
    const names = (options) => selectRows(rows, options).map(({ name }) => name);
    assert.deepEqual(names({}), ['light']);
    assert.deepEqual(names({ all: true }), ['light', 'large']);
    assert.deepEqual(names({ only: ['large'] }), ['large']);
    assert.throws(() => names({ only: ['none'] }), { expected: true });
  });

  test('a row that has none of the named contenders is not selected', () => {
    const rows = [
      { name: 'with', contenders: { engine: null, peer: null } },
      { name: 'without', contenders: { engine: null } },
    ];
    assert.deepEqual(selectRows(rows, { contenders: ['peer'] }), [{ name: 'with', contenders: { peer: null } }]);
    assert.throws(() => selectRows(rows, { contenders: ['none'] }), { expected: true });
  });

  test('a limit that does not exist is refused', () => {
    assert.throws(() => findLimit('/nowhere/limit', assert.fail), { expected: true, message: 'there is no /nowhere/limit' });
  });

  test('the list has every row', () => {
    const bench = fileURLToPath(new URL('../benches/bench.mjs', import.meta.url));
    const { status, stdout, stderr } = spawnSync(process.execPath, [bench, '--list'], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    for (const { name } of known) assert.match(stdout, new RegExp(`^ +${name} `, 'm'));
  });
});

describe('samples of perf', () => {
  const sample = (head, ...frames) => `${head}\n${frames.map((frame) => `\t    ${frame}`).join('\n')}\n`;
  const kernel = (name) => `ffffffff8157a8c8 ${name} ([kernel.kallsyms])`;

  test('each has its process, its thread and its frames', () => {
    const text = [
      sample('escher-engine 17/19 ', kernel('do_futex'), '7f00 (anonymous namespace)::f(int) (/usr/lib/libc.so.6)'),
      sample('true 20/20', '7f01 _start (/lib/ld-linux-x86-64.so.2)'),
    ].join('\n');
    assert.deepEqual(readSamples(text), [
      {
        comm: 'escher-engine',
        pid: 17,
        tid: 19,
        frames: [
          { name: 'do_futex', file: '[kernel.kallsyms]', isKernel: true },
          { name: '(anonymous namespace)::f(int)', file: 'libc.so.6', isKernel: false },
        ],
      },
      { comm: 'true', pid: 20, tid: 20, frames: [{ name: '_start', file: 'ld-linux-x86-64.so.2', isKernel: false }] },
    ]);
    assert.deepEqual(readSamples(''), []);
  });

  test('each is named by its system call, its fault, or its file', () => {
    const named = (...lines) => whatOf(readSamples(sample('x 1/1', ...lines))[0].frames);
    const inCall = (...names) =>
      named(...names.map(kernel), kernel('do_syscall_64'), kernel('entry_SYSCALL_64_after_hwframe'), '7f00 f (/usr/bin/node)');
    assert.match(inCall('schedule', '__x64_sys_futex'), /^waking/);
    assert.match(inCall('copy_mm', 'kernel_clone', '__do_sys_clone'), /^starting processes/);
    assert.match(inCall('vfs_read', 'ksys_read'), /^pipes/);
    assert.match(inCall('do_mmap', 'vm_mmap_pgoff', 'ksys_mmap_pgoff'), /^memory/);
    assert.match(inCall('do_mmap', 'vm_mmap_pgoff'), /^memory/);
    assert.match(inCall('schedule', 'exit_to_user_mode_loop'), /^waking/);
    assert.match(inCall('step_over', '__arm64_sys_setsid'), /^other system calls$/);
    assert.match(inCall(), /^other system calls$/);
    assert.equal(named(kernel('clear_page'), kernel('exc_page_fault'), kernel('asm_exc_page_fault')), 'page faults');
    assert.equal(named(kernel('update_rq'), kernel('asm_sysvec_apic_timer_interrupt')), 'interrupts');
    assert.equal(named('7f00 f (/x/execution-engine.linux-x64-gnu.node)'), 'the addon');
    assert.equal(named('7f00 JS:^run (/tmp/perf-12.map)'), 'V8 and Node.js');
    assert.equal(named('7f00 init_cpu_features.constprop.0 (/lib64/ld-linux-x86-64.so.2)'), '`cpuid` in the loader of the C library');
    assert.equal(named('7f00 _dl_relocate_object (/lib64/ld-linux-x86-64.so.2)'), "the C library's loader");
    assert.equal(named('7f00 main (/usr/bin/true)'), 'the program itself');
    assert.equal(whatOf([]), 'unknown');
  });
});

describe('publishing', () => {
  const one = measured({ engine: [10], execa: [5] });
  const other = measured({ engine: [1] }, { name: 'captured', better: 'lower', unit: 'ms' });

  test('a row replaces the one before and leaves the others, with their own machine and date', () => {
    const before = merge([], { machine, rows: [one, other] }, named('captured', 'short-commands')).rows;
    const later = { ...machine, date: '2026-06-07T00:00:00.000Z' };
    const { rows, refused } = merge(
      before,
      { machine: later, rows: [measured({ engine: [20], execa: [5] })] },
      named('captured', 'short-commands'),
    );
    assert.deepEqual(
      rows.map(({ name, machine: { date }, contenders }) => [name, date.slice(0, 10), contenders.engine.median]),
      [
        ['captured', '2026-01-02', 1],
        ['short-commands', '2026-06-07', 20],
      ],
    );
    assert.deepEqual(refused, []);
  });

  test('a row that is no more is dropped', () => {
    assert.deepEqual(
      merge(published(one, other), { rows: [] }, named('captured')).rows.map(({ name }) => name),
      ['captured'],
    );
  });

  test('a row with a fault keeps what was published before; one with a finding does not', () => {
    const before = published(one);
    const withFailure = (mayFail) => measured({ engine: [99] }, { failed: [{ name: 'execa', why: 'lost a line' }], mayFail });
    const faulty = merge(before, { machine, rows: [withFailure([])] }, named('short-commands'));
    assert.deepEqual([faulty.refused, faulty.rows[0].contenders.engine.median], [['short-commands'], 10]);
    const finding = merge(before, { machine, rows: [withFailure(['execa'])] }, named('short-commands'));
    assert.deepEqual([finding.refused, finding.rows[0].contenders.engine.median], [[], 99]);
  });

  test('a row without measurements is not published', () => {
    const { rows, refused } = merge(published(one), { machine, rows: [measured({})] }, named('short-commands'));
    assert.deepEqual([refused, rows[0].contenders.engine.median], [['short-commands'], 10]);
  });

  test('goals are those of now', () => {
    const before = published(measured({ engine: [1] }, { goals: [most(9, 'ms')] }));
    const goals = [most(2, 'ms')];
    assert.deepEqual(merge(before, { rows: [] }, [{ name: 'short-commands', goals }]).rows[0].goals, goals);
  });

  test('the goals of ratios are those of now too', () => {
    const between = (goal) => ({ ratios: [{ of: 'engine', to: 'execa', goal }] });
    const goalsOf = (before, now) => {
      const rows = published(measured({ engine: [1], execa: [2] }, between(before)));
      return merge(rows, { rows: [] }, [{ name: 'short-commands', ...now }]).rows[0].ratios.map(({ goal }) => goal);
    };
    assert.deepEqual(goalsOf(undefined, between('≥ 1')), ['≥ 1']);
    assert.deepEqual(goalsOf('≥ 0.4', between('≥ 0.8')), ['≥ 0.8']);
    assert.deepEqual(goalsOf('≥ 0.4', between(undefined)), [null]);
    assert.deepEqual(goalsOf('≥ 0.4', {}), [null], 'a ratio that is no more has no goal');
  });

  test('a row of several rounds has an interval for each ratio, or says why not', () => {
    const [row] = published(measured({ engine: [1, 2], execa: [2, 2] }, { ratios: [{ of: 'engine', to: 'execa' }] }));
    const why = 'Its intervals are not known: it was measured before they were recorded.';
    assert.ok(!performanceTables([row]).includes(why));
    const { low, high, ...old } = row.ratios[0];
    assert.deepEqual([low, high], [0.5, 1]);
    assert.ok(performanceTables([{ ...row, ratios: [old] }]).includes(`\n\n${why}\n\n2 rounds, 2026-01-02, `));
    assert.ok(!performanceTables([{ ...row, rounds: 1, ratios: [old] }]).includes(why), 'one round has none');
  });

  test('single measurements are not published', () => {
    assert.doesNotMatch(JSON.stringify(published(one)), /measurements/);
  });

  test('only what is between the markers changes, however often', () => {
    const page = 'before\n<!-- bench:start -->\nold\n<!-- bench:end -->\nafter\n';
    const once = replaceBetween(page, 'new\n');
    assert.equal(once, 'before\n<!-- bench:start -->\nnew\n<!-- bench:end -->\nafter\n');
    assert.equal(replaceBetween(once, 'new\n'), once);
  });

  test('a page without its markers is not written over', () => {
    for (const page of [
      '',
      '<!-- bench:start -->',
      '<!-- bench:end --><!-- bench:start -->',
      '<!-- bench:start --><!-- bench:start --><!-- bench:end -->',
    ]) {
      assert.throws(() => replaceBetween(page, 'new'), /once each/, page);
    }
  });

  test('the pages are those that the published results give: npm run bench -- --render', () => {
    for (const [name, text] of Object.entries(pagesOf(readPublished(), readProfiles(), readPage))) assert.equal(readPage(name), text, name);
  });

  test('the numbers in the text of the page are those that were counted and measured', () => {
    const text = readPage('docs/performance.md').replace(/\s+/g, ' ');
    const { callsPerRun, waitsPerRun } = JSON.parse(readPage('benches/guard.json')).counts;
    const of = (row, contender, key) => Math.round(readPublished().find(({ name }) => name === row).contenders[contender].columns[key]);
    const cpu = (contender) => of('short-commands', contender, 'cpuMicros');
    for (const part of [
      `\`strace\` counts ${Math.round(callsPerRun)} system calls and ${Math.round(waitsPerRun)} waits in the host`,
      `The limit needs ${cpu('limit')} µs for a command, or ${cpu('limit (handed over)')} µs when it hands the command over.`,
      `The engine needs ${cpu('engine')} µs,`,
      `One call for 100 000 takes ${of('cleanup', '100 000 records', 'callMs')} ms.`,
    ])
      assert.ok(text.includes(part), part);
  });

  test('the page has the reason for each row that misses a goal', () => {
    const reasons = readPage('docs/performance.md').split('<!-- missed:end -->')[1].split('\n## ')[0];
    const explained = [...reasons.matchAll(/^- \*\*(.+?)\*\*:/gm)].flatMap(([, names]) => names.split(', '));
    for (const { row } of missedGoals(readPublished())) {
      const name = row.replace(/(-host-).*/, '$1…');
      assert.ok(explained.includes(`\`${name}\``), row);
    }
  });

  test('published rows are rows that there are, and the page explains each', () => {
    for (const { name } of readPublished())
      assert.ok(
        known.some((row) => row.name === name),
        name,
      );
    const reported = readPage('docs/performance.md');
    for (const { name } of known) {
      const meant = name.startsWith('short-commands-host-') ? 'short-commands-host-…' : name === 'short-commands-32' ? '-32' : name;
      assert.ok(reported.includes(`\`${meant}\``), `docs/performance.md does not say what ${name} means`);
    }
  });
});

describe('tables', () => {
  test('the front page has a cell for every peer, and says how a stand-in did it', () => {
    const rows = published(measured({ engine: [3_000_000], readline: [1_500_000] }, { name: 'million-lines' }));
    assert.match(frontTable(rows), /^\| 1 M lines .* \| 3.000.000 \| 1.500.000 \(`readline`\) \|( \|)+$/m);
  });

  test('the front page says how often, when, on what, and whether the machine was busy', () => {
    const row = measured({ engine: [1, 2, 3] });
    assert.match(frontTable(published(row)), /^Medians, 3 rounds on 2026-01-02 with Node\.js 20\.1\.2 on 2 × A <fast> one\. /);
    const busy = merge([], { machine: { ...machine, loadBefore: 1.5 }, rows: [row] }, [row]).rows;
    assert.match(frontTable(busy), /on 2 × A <fast> one \(other work was running\)\. /);
  });

  test('the front page says which peer needs another Node.js', () => {
    const row = measured({ engine: [1], execa: [1] }, { needs: { execa: ['execa', 'node-24'] } });
    assert.match(frontTable(published(row)), / execa 9\.6\.0 in Node\.js 24\.1\.2, which it needs\./);
    assert.doesNotMatch(frontTable(published(measured({ engine: [1] }))), /which it needs/);
  });

  test('a page of results has ratios, goals, findings, missing contenders, and the machine', () => {
    const text = performanceTables(
      published(
        measured(
          { engine: [20, 30], execa: [10, 10] },
          {
            needs: { execa: ['execa', 'node-24'] },
            bound: 'the disk',
            ratios: [{ of: 'engine', to: 'execa', goal: '≥ 2' }],
            goals: [most(40, 'ms'), most(1024, 'MiB', { what: 'growth', key: 'growthMiB' })],
            failed: [{ name: 'readline', why: 'too long' }],
            mayFail: ['readline'],
            skipped: [{ name: 'Deno.Command', why: 'deno is not installed' }],
          },
        ),
      ),
    );
    for (const part of [
      '| engine | 25.0 | 20.0 – 30.0 |',
      '| engine / execa | 2.50 | 2.00 – 3.00 | ≥ 2 |',
      'No peer does this. It is bound by the disk.',
      'Goals: ≤ 40 ms; growth ≤ 1 024 MiB.',
      'readline fails: `too long`.',
      'Deno.Command was not measured: deno is not installed.',
      '2 rounds, 2026-01-02, 2 × A <fast> one, 4 GiB, Linux 6.1 x64, load 0.3 before, Node.js 20.1.2, execa 9.6.0 in Node.js 24.1.2.',
    ]) {
      assert.ok(text.includes(part), `${part}\nis not in\n${text}`);
    }
  });

  test('a peer that leads a row has its reason there, each at its own size', () => {
    const text = (ahead) => performanceTables(published(measured({ engine: [2], execa: [3], tinyexec: [1], limit: [9] }, { ahead })));
    assert.match(text({ execa: 'it does less' }), /^Ahead of the engine: execa\. Why: it does less\.$/m);
    assert.match(text(undefined), /^Ahead of the engine: execa\. Why: not known\.$/m);
    assert.doesNotMatch(text(undefined), /Ahead of the engine: .*(?:tinyexec|limit)/);
    const sizes = { 'engine (8)': [2], 'engine (64)': [9], 'execa (8)': [3], 'execa (64)': [10] };
    assert.deepEqual(leadersOf(measured(sizes, { better: 'lower' })), []);
    assert.deepEqual(leadersOf(measured(sizes)), ['execa (8)', 'execa (64)']);
  });

  test('every peer that leads a published row has a reason', () => {
    for (const row of readPublished()) for (const name of leadersOf(row)) assert.ok(row.ahead?.[name], `${row.name}: ${name}`);
  });

  test('a missed goal is reported with its measurement, and nothing else', () => {
    const row = measured(
      { engine: [20, 30], execa: [10, 10], other: [5, 5] },
      {
        columns: [{ key: 'growthMiB', title: 'growth', digits: 0 }],
        ratios: [
          { of: 'other', to: 'execa', goal: '= 1' },
          { of: 'other', to: 'other', goal: '= 1' },
          { of: 'engine', to: 'execa', goal: '≥ 3 (then 4)' },
          { of: 'execa', to: 'engine', goal: '≤ 0.5' },
          { of: 'engine', to: 'other', goal: 'no longer than without' },
        ],
        goals: [most(24, 'ms'), most(25, 'ms'), most(4, 'ms', { of: 'other' }), most(1, 'ms', { of: 'unknown' })],
      },
    );
    assert.deepEqual(
      missedGoals(published(row)).map(({ text, measured }) => [text, measured]),
      [
        ['other / execa = 1', 0.5],
        ['engine / execa ≥ 3 (then 4)', 2.5],
        ['≤ 24 ms', 25],
        ['≤ 4 ms', 5],
      ],
    );
    assert.match(missedTable(published(row)), /^\| `short-commands` \| engine \/ execa ≥ 3 \(then 4\) \| 2\.50 \(2\.00 – 3\.00\) \|$/m);
    assert.equal(missedTable(published(measured({ engine: [1] }, { goals: [most(1, 'ms')] }))), 'None is missed.');
  });

  test('a profile says where and when it was made', () => {
    const text = profileTables([{ name: 'time', title: 'where it goes', columns: ['thread', '%'], lines: [['a | b', '70.0']], machine }]);
    for (const part of ['Where it goes:', '| thread | % |', '| a \\| b | 70.0 |', '2026-01-02, 2 × A <fast> one'])
      assert.ok(text.includes(part), text);
    assert.match(profileTables([]), /Nothing was profiled/);
  });

  test('nothing measured is said', () => {
    assert.match(performanceTables([]), /Nothing is measured/);
    assert.match(frontTable([]), /not measured/);
  });
});

describe('chart', () => {
  const lower = measured({ engine: [2], execa: [8] }, { name: 'captured', better: 'lower', unit: 'ms', title: 'a "text" in <time>' });
  const svg = drawChart(
    published(measured({ engine: [100], 'engine (empty host)': [90], execa: [25], limit: [200], 'limit (handed over)': [100] }), lower),
  );

  test('is well-formed', () => {
    checkXml(svg);
    checkXml(drawChart([]));
    checkXml(drawChart(readPublished()));
  });

  test('escapes what it is given', () => {
    assert.ok(svg.includes('true &amp; co') && svg.includes('a &quot;text&quot; in &lt;time&gt;'));
    const nasty = drawChart(published(measured({ 'engine\u0000</text>': [1] })));
    checkXml(nasty);
    assert.doesNotMatch(nasty, /\u0000/);
  });

  test('has a title and says everything in words', () => {
    assert.match(svg, /<title id="title">\S/);
    const words = /<desc id="desc">(.*?)<\/desc>/.exec(svg)[1];
    for (const part of ['engine 100 commands/s', 'limit 200 commands/s', 'execa 8.000 ms']) assert.ok(words.includes(part), words);
  });

  test('a bar is the part of the best, whichever way is better', () => {
    const bars = [...svg.matchAll(/<rect class="(\w+)" x="190" y="\d+" width="([\d.]+)"/g)].map(([, kind, width]) => [kind, Number(width)]);
    const longest = bars[3][1];
    assert.deepEqual(bars, [
      ['engine', longest / 2],
      ['engine', longest * 0.45],
      ['peer', longest / 8],
      ['limit', longest],
      ['limit', longest / 2],
      ['engine', longest],
      ['peer', longest / 4],
    ]);
  });

  test('is read on a light and on a dark page', () => assert.match(svg, /prefers-color-scheme: dark/));
});

/** Checks that opened tags are closed, in order; that attributes are quoted; and that no mark or entity is where it may not be. */
function checkXml(text) {
  const open = [];
  const tag = /<(\/?)([a-zA-Z]+)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/y;
  let at = 0;
  while (at < text.length) {
    const next = text.indexOf('<', at);
    const words = text.slice(at, next < 0 ? text.length : next);
    assert.doesNotMatch(words, /&(?!(amp|lt|gt|quot|#\d+);)/, 'a bare &');
    if (next < 0) break;
    tag.lastIndex = next;
    const [whole, closes, name, , empty] = tag.exec(text) ?? assert.fail(`no tag: ${text.slice(next, next + 60)}`);
    if (closes) assert.equal(open.pop(), name);
    else if (!empty) open.push(name);
    at = next + whole.length;
  }
  assert.deepEqual(open, []);
  assert.match(text, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" /);
}
