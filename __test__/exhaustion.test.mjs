// A host without free processes or descriptors: executions wait, and report the cause when the wait times out.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { describe, test } from 'node:test';

const PACKAGE = new URL('../index.js', import.meta.url).href;
const linux = process.platform === 'linux' ? {} : { skip: 'descriptors are counted in /proc' };

/** Returns what a host that a shell has limited prints at its end, as JSON. */
function limited(limit, source) {
  const prelude = `
    import * as fs from 'node:fs';
    import { closeSync, openSync, readdirSync } from 'node:fs';
    import { setTimeout as sleep } from 'node:timers/promises';
    import { ExecutionEngine } from ${JSON.stringify(PACKAGE)};
    const shell = (command) => ({ command: { type: 'shell', command, shell: '/bin/sh' } });
    const descriptors = () => { try { return readdirSync('/proc/self/fd').length; } catch { return Infinity; } };
    // Runs each command until the engine has waited for room. What says so is a folder, whose removal takes no descriptor.
    const whenItHasWaited = (engine) => {
      const full = fs.mkdtempSync('/tmp/escher-exhaustion-');
      (async () => {
        while ((await engine.getStats()).backoffs === 0) await sleep(5);
        fs.rmdirSync(full);
      })();
      return (command) => shell(command + '; while [ -d ' + full + ' ]; do sleep 0.05; done');
    };
  `;
  return new Promise((resolve, reject) => {
    const words = ['-c', `${limit}; exec "$@"`, 'sh', process.execPath, '--input-type=module', '-e', prelude + source];
    const child = spawn('/bin/sh', words, {
      env: { ...process.env, NODE_OPTIONS: '' },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 60_000,
      killSignal: 'SIGKILL',
    });
    let [said, wrong] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text) => (said += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (wrong += text));
    child.on('error', reject);
    child.on('close', (code, signal) =>
      code === 0 ? resolve(JSON.parse(said)) : reject(new Error(`the host ended with ${code ?? signal}: ${said}${wrong}`)),
    );
  });
}

describe('exhaustion', { concurrency: 2, ...linux }, () => {
  test('fifty commands at once complete with 60 descriptors', async (t) => {
    const reported = await limited(
      'ulimit -n 60',
      `
      const engine = new ExecutionEngine({ maxConcurrentExecutions: 50 });
      await engine.run(shell('true'));
      const base = descriptors();
      const untilGo = whenItHasWaited(engine);
      const results = await Promise.all(Array.from({ length: 50 }, (_, i) => engine.run(untilGo('echo ' + i))));
      const { backoffs } = await engine.getStats();
      for (let i = 0; i < 200 && descriptors() > base; i++) await sleep(10);
      console.log(JSON.stringify({ statuses: results.map((one) => one.status), texts: results.map((one) => one.stdout), backoffs, left: descriptors() - base }));
    `,
    );
    assert.deepEqual(reported.statuses, Array(50).fill('completed'));
    assert.deepEqual(
      reported.texts,
      Array.from({ length: 50 }, (_, i) => `${i}\n`),
    );
    assert.ok(reported.backoffs > 0, 'there was room for all: this test is none');
    assert.ok(reported.left <= 0, `${reported.left} descriptors are left`);
    t.diagnostic(`${reported.backoffs} waits`);
  });

  test('logs wait for descriptors too', async () => {
    const reported = await limited(
      'ulimit -n 60',
      `
      const { mkdtempSync, readFileSync, rmSync } = await import('node:fs');
      const dir = mkdtempSync('/tmp/escher-exhaustion-');
      const engine = new ExecutionEngine({ maxConcurrentExecutions: 50, logDir: dir + '/logs' });
      await engine.run(shell('true'));
      // One descriptor is left for the first of the two logs of the first command.
      const taken = [];
      try { for (;;) taken.push(openSync('/dev/null', 'r')); } catch {}
      closeSync(taken.pop());
      const runs = Array.from({ length: 20 }, (_, i) => engine.run({ ...shell('echo ' + i), outputLogPath: dir + '/' + i }));
      while ((await engine.getStats()).backoffs === 0) await sleep(5);
      for (const fd of taken) closeSync(fd);
      const results = await Promise.all(runs);
      const logs = results.map(({ id, logPath }, i) => [readFileSync(dir + '/' + i, 'utf8'), readFileSync(dir + '/logs/' + id + '.log', 'utf8'), logPath === dir + '/' + i]);
      rmSync(dir, { recursive: true });
      console.log(JSON.stringify({ statuses: results.map((one) => one.status), lost: results.map((one) => one.logLostBytes), logs }));
    `,
    );
    assert.deepEqual(reported.statuses, Array(20).fill('completed'));
    assert.deepEqual(reported.lost, Array(20).fill(0));
    assert.deepEqual(
      reported.logs,
      Array.from({ length: 20 }, (_, i) => [`${i}\n`, `${i}\n`, true]),
    );
  });

  test('logs and overflow files of fifty at once are complete with 60 descriptors', async () => {
    const reported = await limited(
      'ulimit -n 60',
      `
      import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
      import { tmpdir } from 'node:os';
      const dir = mkdtempSync(tmpdir() + '/engine-test-');
      const engine = new ExecutionEngine({ maxConcurrentExecutions: 50, logDir: dir + '/logs', overflowDir: dir + '/overflow', oversizedOutputStrategy: 'streamToFile', maxOutputSizeBytes: 10, minFreeDiskBytes: 0 });
      await engine.run(shell('true'));
      const untilGo = whenItHasWaited(engine);
      const ends = await Promise.allSettled(Array.from({ length: 50 }, (_, i) => engine.run({ ...untilGo('seq ' + (1000 + i)), outputLogPath: dir + '/' + i + '.log' })));
      const read = (name) => { for (;;) try { return readFileSync(name, 'utf8'); } catch (error) { if (error.code !== 'EMFILE') throw error; } };
      const whole = [];
      for (const { value, reason } of ends) {
        if (!value) { whole.push(reason.code + ' ' + reason.message); continue; }
        const { id, stdoutBytes, logPath, logLostBytes, overflowLostBytes, stdoutOverflowFile } = value;
        const sizes = [await engine.readLogs(id), read(dir + '/logs/' + id + '.log'), read(logPath), read(stdoutOverflowFile)].map((text) => text.length);
        whole.push(logLostBytes === 0 && overflowLostBytes === 0 && sizes.every((size) => size === stdoutBytes));
      }
      const { backoffs } = await engine.getStats();
      await engine.shutdown();
      rmSync(dir, { recursive: true });
      console.log(JSON.stringify({ whole, backoffs }));
    `,
    );
    assert.deepEqual(reported.whole, Array(50).fill(true));
    assert.ok(reported.backoffs > 0, 'there was room for all: this test is none');
  });

  test('a log for which there is no descriptor in time is SPAWN_FAILED, and a log read meanwhile waits', async () => {
    const reported = await limited(
      'ulimit -n 80',
      `
      import { mkdtempSync, rmSync } from 'node:fs';
      import { tmpdir } from 'node:os';
      const dir = mkdtempSync(tmpdir() + '/engine-test-');
      const engine = new ExecutionEngine({ maxConcurrentExecutions: 4, queueTimeoutMs: 300, logDir: dir });
      const { id } = await engine.run(shell('echo first'));
      const taken = [];
      try { for (;;) taken.push(openSync('/dev/null', 'r')); } catch {}
      const reading = engine.readLogs(id);
      const ends = await Promise.allSettled(Array.from({ length: 10 }, () => engine.run(shell('true'))));
      for (const fd of taken) closeSync(fd);
      const next = await engine.run(shell('echo fine'));
      const word = ({ value, reason }) => value ? value.status + ' ' + value.reason : reason.code + ' ' + reason.result?.error?.errno;
      const read = await reading;
      rmSync(dir, { recursive: true });
      console.log(JSON.stringify({ ends: ends.map(word), next: next.stdout, lost: next.logLostBytes, read }));
    `,
    );
    for (const end of reported.ends) assert.ok(['SPAWN_FAILED EMFILE', 'timeout queue_timeout'].includes(end), end);
    assert.ok(reported.ends.includes('SPAWN_FAILED EMFILE'), `${reported.ends}`);
    assert.deepEqual([reported.next, reported.lost, reported.read], ['fine\n', 0, 'first\n']);
  });

  test('an execution that waits in vain ends with a typed reason, and the next one runs', async () => {
    const reported = await limited(
      'ulimit -n 80',
      `
      const engine = new ExecutionEngine({ maxConcurrentExecutions: 4, queueTimeoutMs: 300 });
      await engine.run(shell('true'));
      const taken = [];
      try { for (;;) taken.push(openSync('/dev/null', 'r')); } catch {}
      const ends = await Promise.allSettled(Array.from({ length: 10 }, () => engine.run(shell('true'))));
      for (const fd of taken) closeSync(fd);
      const next = await engine.run(shell('echo fine'));
      const { backoffs } = await engine.getStats();
      const word = ({ value, reason }) => value ? value.status + ' ' + value.reason : reason.code + ' ' + reason.result?.error?.errno;
      console.log(JSON.stringify({ ends: ends.map(word), next: next.stdout, backoffs }));
    `,
    );
    assert.equal(reported.ends.length, 10);
    for (const end of reported.ends) assert.ok(['SPAWN_FAILED EMFILE', 'timeout queue_timeout'].includes(end), end);
    assert.ok(reported.ends.includes('SPAWN_FAILED EMFILE'), `${reported.ends}`);
    assert.equal(reported.next, 'fine\n');
    assert.ok(reported.backoffs > 0);
  });
});
