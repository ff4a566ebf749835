// The engine works where the table of processes cannot be seen, and where its host has the process id 1.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { marked, newMark } from './helpers/guardians.mjs';
import { folder, runsOnLinux } from './helpers/programs.mjs';

const PACKAGE = new URL('../dist/engine.js', import.meta.url).pathname;
const skip = !runsOnLinux('unshare', '-mpf', '--mount-proc', 'true') && 'no namespace can be made here';

/** Returns what a host prints that runs `code`, in namespaces of its own. */
function host(words, code) {
  const source = `const { ExecutionEngine } = require(${JSON.stringify(PACKAGE)}); const { readdirSync, readFileSync } = require('node:fs'); (async () => { ${code} process.exit(); })();`;
  const { stdout, stderr } = spawnSync('unshare', [...words, process.execPath, '-e', source], { encoding: 'utf8', timeout: 30_000 });
  try {
    return JSON.parse(stdout);
  } catch {
    throw new Error(`the host said ${JSON.stringify(stdout)} and ${stderr}`);
  }
}

const endsOne = (mark) => `
  const engine = new ExecutionEngine({ killGraceMs: 200 }); const degraded = [];
  engine.on('degraded', ({ message }) => degraded.push(message));
  const { status, killed } = await engine.run({ command: { type: 'shell', command: 'sleep 1000.${mark} & sleep 1000.${mark}' }, timeoutMs: 300 });
  console.log(JSON.stringify({ status, mechanism: killed.mechanism, degraded }));`;

for (const [name, words] of [
  ['without /proc', ['-m', 'sh', '-c', 'mount -t tmpfs none /proc; exec "$@"', 'sh']],
  ['with the /proc of another namespace', ['-pf']],
]) {
  test(`${name} the process group is ended, and both the execution and its result say what could not be seen`, { skip }, () => {
    const mark = newMark();
    const { status, mechanism, degraded } = host(words, endsOne(mark));
    assert.equal(status, 'timeout');
    assert.deepEqual(marked(mark), []);
    assert.match(mechanism, /^SIGTERM to the group; the table of processes \(\/proc\) could not be read/);
    assert.equal(degraded.length, 1);
    assert.match(degraded[0], /\/proc/);
  });
}

/** A command that needs its child while it shuts down; both write the signals that they get to `$LOG`. */
const SUPERVISOR = `exec 2>/dev/null; trap 'echo command >> $LOG; sleep 0.3; echo done >> $LOG; exit' TERM
  sh -c 'trap "echo child >> $LOG; exit" TERM; echo ready; while :; do sleep 0.02; done' & while :; do sleep 0.02; done`;
for (const [way, then] of [
  ['a cancel', 'await engine.cancel(id); process.exit();'],
  ['the guardian', "process.kill(process.pid, 'SIGKILL');"],
]) {
  test(`without /proc ${way} sends the stop signal to the command alone, with stopOrder leader, until it has exited`, { skip }, (t) => {
    const log = path.join(folder(t), 'log');
    const source = `const { ExecutionEngine } = require(${JSON.stringify(PACKAGE)}); (async () => {
      const engine = new ExecutionEngine({ stopOrder: 'leader', killGraceMs: 20_000, controlGroups: false });
      const ready = new Promise((resolve) => engine.once('stdout', resolve));
      const id = await engine.execute({ command: { type: 'shell', command: ${JSON.stringify(SUPERVISOR)} }, env: { LOG: ${JSON.stringify(log)} } });
      await ready;
      ${then} })();`;
    // Process 1 reaps the command, and stays until the child has written its line.
    const shell = `mount -t tmpfs none /proc; "$@"; for i in $(seq 500); do grep -qs child ${log} && break; sleep 0.02; done`;
    spawnSync('unshare', ['-mpf', 'sh', '-c', shell, 'sh', process.execPath, '-e', source], { timeout: 60_000 });
    assert.equal(readFileSync(log, 'utf8'), 'command\ndone\nchild\n');
  });
}

test('a host with the process id 1 reaps the orphans of trees that it ends, and no other children', { skip }, () => {
  const { left, exitCode } = host(
    ['-mpf', '--mount-proc'],
    `
    const engine = new ExecutionEngine({ killGraceMs: 200 });
    const other = require('node:child_process').spawn('sh', ['-c', 'sleep 0.5; exit 7']);
    const exited = new Promise((resolve) => other.on('exit', resolve));
    for (let round = 0; round < 5; round++) await engine.run({ command: { type: 'shell', command: '(setsid sleep 300 &); (sleep 300 &); sleep 300' }, timeoutMs: 100 });
    const exitCode = await exited;
    const zombies = () => readdirSync('/proc').filter((pid) => { try { return readFileSync('/proc/' + pid + '/stat', 'latin1').includes(') Z 1 '); } catch { return false; } });
    for (let round = 0; round < 100 && zombies().length > 0; round++) await new Promise((resolve) => setTimeout(resolve, 20));
    console.log(JSON.stringify({ left: zombies(), exitCode }));`,
  );
  assert.deepEqual(left, []);
  assert.equal(exitCode, 7);
});

test('a host with the process id 1 reaps those that had exited before the end began, by their control group', { skip }, (t) => {
  const { left, before, isGrouped } = host(
    ['-mpf', '--mount-proc'],
    `
    const zombies = () => readdirSync('/proc').filter((pid) => { try { return readFileSync('/proc/' + pid + '/stat', 'latin1').includes(') Z 1 '); } catch { return false; } });
    const until = async (condition) => { for (let round = 0; round < 200 && !condition(); round++) await new Promise((resolve) => setTimeout(resolve, 20)); };
    const engine = new ExecutionEngine({ killGraceMs: 200 });
    const id = await engine.execute({ command: { type: 'shell', command: 'for i in 1 2 3; do (setsid sleep 0.1 &); (sleep 0.1 &); done; sleep 300' } });
    await until(() => zombies().length === 6);
    const before = zombies().length;
    const [{ pid }] = engine.listExecutions();
    const isGrouped = readFileSync('/proc/' + pid + '/cgroup', 'utf8').includes('/escher-');
    await engine.cancel(id);
    await until(() => zombies().length === 0);
    console.log(JSON.stringify({ left: zombies(), before, isGrouped }));`,
  );
  if (!isGrouped) return t.skip('no control groups can be made');
  assert.deepEqual([before, left], [6, []]);
});

for (const [what, line, config] of [
  ['in its process group', 'sleep 0.5 >/dev/null 2>&1 & (sleep 0.1 &); :', { controlGroups: false }],
  ['in its session', 'set -m; sleep 0.5 >/dev/null 2>&1 & (sleep 0.1 &); :', { controlGroups: false }],
  ['in its control group', 'setsid sleep 0.5 >/dev/null 2>&1 & (setsid sleep 0.1 &); :', {}],
]) {
  test(`a host with the process id 1 reaps what a command has left ${what}, and no other children`, { skip }, (t) => {
    const { left, exitCode, isGrouped, threads } = host(
      ['-mpf', '--mount-proc'],
      `
      const zombies = () => readdirSync('/proc').filter((pid) => { try { return readFileSync('/proc/' + pid + '/stat', 'latin1').includes(') Z 1 '); } catch { return false; } });
      const until = async (condition) => { for (let round = 0; round < 500 && !condition(); round++) await new Promise((resolve) => setTimeout(resolve, 20)); };
      const threads = () => readdirSync('/proc/self/task').filter((thread) => readFileSync('/proc/self/task/' + thread + '/comm', 'utf8').startsWith('escher-orphans'));
      const other = require('node:child_process').spawn('sh', ['-c', 'sleep 2.5; exit 7'], { detached: true });
      const exited = new Promise((resolve) => other.on('exit', resolve));
      const engine = new ExecutionEngine(${JSON.stringify(config)});
      let isGrouped = true;
      for (let round = 0; round < 5; round++) {
        const { stdout } = await engine.run({ command: { type: 'shell', command: ${JSON.stringify(`cat /proc/self/cgroup; ${line}`)}, shell: 'bash' } });
        isGrouped &&= stdout.includes('/escher-');
      }
      const exitCode = await exited;
      await until(() => zombies().length === 0 && threads().length === 0);
      console.log(JSON.stringify({ left: zombies(), exitCode, isGrouped, threads: threads() }));`,
    );
    if (config.controlGroups !== false && !isGrouped) return t.skip('no control groups can be made');
    assert.deepEqual([left, threads, exitCode], [[], [], 7]);
    return undefined;
  });
}

test('with the /proc of another namespace, members in sessions of their own get the stop signal by their control group', { skip }, (t) => {
  const dir = folder(t);
  const { mechanism, pids, isGrouped, count } = host(
    ['-pf'],
    `
    const count = () => { try { return readFileSync('${dir}/signals', 'utf8').split('\\n').length - 1; } catch { return 0; } };
    const recorder = 'trap "echo TERM >> ${dir}/signals" TERM; : > ${dir}/ready; while :; do sleep 0.02; done';
    const engine = new ExecutionEngine({ killGraceMs: 3_000 });
    const id = await engine.execute({ command: { type: 'exec', program: 'sh', args: ['-c', 'setsid sh -c "$0" & exec sleep 300', recorder] } });
    while (!readdirSync('${dir}').includes('ready')) await new Promise((resolve) => setTimeout(resolve, 20));
    const isGrouped = readFileSync('/proc/self/mountinfo', 'utf8').includes(' - cgroup2 ');
    await engine.cancel(id);
    const { mechanism, pids } = engine.getResult(id).killed;
    console.log(JSON.stringify({ mechanism, pids, isGrouped, count: count() }));`,
  );
  if (!isGrouped || /neither seen nor signalled/.test(mechanism)) return t.skip('no control groups can be made');
  assert.equal(count, 1);
  assert.ok(pids.length >= 2, `${pids}`);
  assert.match(
    mechanism,
    /^SIGTERM to the group and to (?:a|\d+) descendants? that escaped it.*by cgroup\.kill; .* found by the control group alone$/,
  );
});
