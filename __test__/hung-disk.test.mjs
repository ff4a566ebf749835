// A disk that hangs costs its own users their files, and nothing else anything.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { newEngine, spilling } from './helpers/engine.mjs';
import { noDeadServer, noFreezableDisk, withDeadServer, withFreezableDisk } from './helpers/mounts.mjs';
import { folder, shell } from './helpers/programs.mjs';

const posix = process.platform === 'win32' && 'needs FIFOs';

test('a FIFO where a lock may be delays and loses nothing', { skip: posix }, async (t) => {
  const overflowDir = folder(t);
  const dead = path.join(overflowDir, 'host-00000000-0000-4000-8000-000000000000');
  mkdirSync(dead, { mode: 0o700 });
  for (const fifo of [path.join(overflowDir, '.lock'), path.join(overflowDir, 'lock'), path.join(dead, 'lock')])
    execFileSync('mkfifo', [fifo]);
  const engines = [newEngine(t, spilling(overflowDir)), newEngine(t, { ...spilling(folder(t)), logDir: folder(t) })];
  for (const result of await Promise.all(engines.flatMap((engine) => Array.from({ length: 10 }, () => engine.run(shell('seq 1000')))))) {
    assert.deepEqual([result.status, result.overflowLostBytes, result.logLostBytes], ['completed', 0, 0]);
    assert.equal(statSync(result.stdoutOverflowFile).size, 3_893);
  }
});

test("another program's lock delays and loses nothing", {
  skip: spawnSync('flock', ['--version']).error ? 'there is no flock' : false,
}, async (t) => {
  const overflowDir = folder(t);
  const dead = path.join(overflowDir, 'host-00000000-0000-4000-8000-000000000000');
  mkdirSync(dead, { mode: 0o700 });
  const names = [path.join(overflowDir, '.lock'), path.join(dead, 'lock')];
  for (const name of names) {
    writeFileSync(name, 'escher-execution-engine overflow 00000000-0000-4000-8000-000000000000\n');
    const holder = spawn('flock', ['-x', name, 'sh', '-c', 'echo held; exec sleep 300'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    t.after(() => process.kill(-holder.pid, 'SIGKILL'));
    await once(holder.stdout, 'data');
  }
  const engine = newEngine(t, spilling(overflowDir));
  const result = await engine.run(shell('seq 1000'));
  assert.deepEqual([result.status, result.overflowLostBytes], ['completed', 0]);
  assert.ok(readFileSync(names[1]).length > 0, 'a folder in use stays');
});

// Runs beside an engine whose disk hangs.
const HEALTHY = `
  const config = { logDir: path.join(healthy, 'logs'), overflowDir: path.join(healthy, 'overflow'), oversizedOutputStrategy: 'streamToFile', maxOutputSizeBytes: 10, minFreeDiskBytes: 0 };
  const beside = async () => {
    const engine = new ExecutionEngine(config);
    const results = await Promise.all(Array.from({ length: 30 }, () => engine.run(shell('seq 20000'))));
    const logs = await Promise.all(results.map(({ id }) => engine.readLogs(id)));
    const lost = results.map((one) => one.logLostBytes + one.overflowLostBytes + (one.stdoutBytes - fs.statSync(one.stdoutOverflowFile).size));
    const bad = lost.filter((bytes) => bytes !== 0).length + logs.filter((log) => log.length !== 108894).length;
    await engine.shutdown();
    return [results.every((one) => one.status === 'completed'), bad];
  };
`;

test('a disk that is frozen: results come, the loss is counted, a healthy disk loses nothing', { skip: noFreezableDisk }, async (t) => {
  const [top, healthy] = [folder(t), folder(t)];
  const dir = path.join(top, 'disk');
  mkdirSync(dir);
  const seen = await withFreezableDisk(
    dir,
    healthy,
    `${HEALTHY}
    const engine = new ExecutionEngine({ ...config, logDir: path.join(dir, 'logs'), overflowDir: path.join(dir, 'overflow') });
    const degraded = []; engine.on('degraded', ({ message }) => degraded.push(message));
    const spilled = await engine.run(shell('seq 1000'));
    const go = path.join(healthy, 'go');
    const id = await engine.execute(shell('echo ready; while [ ! -e "$GO" ]; do sleep 0.01; done; seq 1000000', { env: { GO: go } }));
    await until(async () => (await engine.readLogs(id).catch(() => '')) === 'ready\\n');
    freeze();
    fs.writeFileSync(go, '');
    const hung = engine.waitForCompletion(id);
    const others = await Promise.all([beside(), beside(), beside()]);
    const begun = performance.now();
    engine.removeExecution(spilled.id);
    const removal = performance.now() - begun;
    const refused = await engine.run(shell('echo x')).catch((error) => error.code + ' ' + error.errno);
    const { status, stdoutBytes, logLostBytes, overflowLostBytes } = await hung;
    await engine.shutdown();
    thaw();
    say({ others, status, stdoutBytes, logLostBytes, overflowLostBytes, refused, removal, longest, degraded });
  `,
  );
  assert.deepEqual(seen.others, Array(3).fill([true, 0]));
  assert.deepEqual([seen.status, seen.stdoutBytes], ['completed', 6_888_902]);
  assert.ok(seen.logLostBytes > 0 && seen.overflowLostBytes > 0, JSON.stringify(seen));
  assert.equal(seen.refused, 'LOG_FAILED ETIMEDOUT');
  assert.match(seen.degraded[0], /in time/);
  assert.ok(seen.removal < 2_000 && seen.longest < 2_000, `the event loop stood still for ${seen.longest} ms`);
});

test('a disk whose server is gone: engines, logs and overflow on it hang nothing else', { skip: noDeadServer }, async (t) => {
  const [dir, healthy] = [folder(t), folder(t)];
  const seen = await withDeadServer(
    dir,
    healthy,
    `${HEALTHY}
    const dead = [1, 2, 3].map((number) => new ExecutionEngine({ ...config, logDir: undefined, overflowDir: path.join(dir, String(number)) }));
    const logless = new ExecutionEngine({ logDir: path.join(dir, 'logs') });
    const spills = dead.map((engine) => engine.run(shell('seq 1000')));
    const refused = logless.run(shell('echo x')).catch((error) => error.code + ' ' + error.errno);
    const late = dead[0].run(shell('echo x', { outputLogPath: path.join(dir, 'x.log'), timeoutMs: 500 }));
    const others = await Promise.all([beside(), beside(), beside()]);
    const ends = (await Promise.all(spills)).map((one) => [one.status, one.stdoutOverflowFile, one.stdoutBytes - one.overflowLostBytes]);
    const { status } = await late;
    const said = await refused;
    await Promise.all([logless, ...dead].map((engine) => engine.shutdown()));
    say({ others, ends, status, said, longest });
    process.exit();
  `,
  );
  assert.deepEqual(seen.others, Array(3).fill([true, 0]));
  assert.deepEqual(seen.ends, Array(3).fill(['completed', null, 0]));
  assert.deepEqual([seen.status, seen.said], ['timeout', 'LOG_FAILED ETIMEDOUT']);
  assert.ok(seen.longest < 2_000, `the event loop stood still for ${seen.longest} ms`);
});
