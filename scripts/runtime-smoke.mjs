// The checks that every runtime must pass, as a plain program: scripts/runtimes.mjs runs it. Prints one line of JSON for each check.
// Its arguments are the flags of the runtime, for the hosts that it starts itself.
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';

const file = fileURLToPath(import.meta.url);
const root = path.dirname(path.dirname(file));
const require = createRequire(import.meta.url);
const { ExecutionEngine, ExecutionError } = require(root);

const LIMIT_MS = 20_000;
const shell = (command) => ({ command: { type: 'shell', command } });
/** Prints its pid and that of a child of its own; both run on for longer than any check. */
const TREE = shell('sleep 300 & echo $$ $!; wait');

const checks = {
  async run() {
    const { status, stdout, exitCode } = await withEngine((engine) => engine.run(shell('printf "%s" ran; exit 3'))).catch(resultOf);
    equal([status, stdout, exitCode], ['failed', 'ran', 3]);
  },
  async stream() {
    const lines = [];
    await withEngine(async (engine) => {
      const stream = engine.stream(shell('i=0; while [ $i -lt 3000 ]; do i=$((i + 1)); echo $i; done'));
      for await (const event of stream) if (event.type === 'stdout') lines.push(event.line);
      equal((await stream.result).status, 'completed');
    });
    equal([lines.length, lines[0], lines.at(-1)], [3000, '1', '3000']);
  },
  async 'cancel a tree'() {
    await withEngine(async (engine) => {
      const { id, pids } = await startTree(engine);
      await engine.cancel(id);
      await gone(pids);
      equal(engine.getStatus(id), 'cancelled');
    });
  },
  async timeout() {
    const result = await withEngine((engine) => engine.run({ ...shell('sleep 300 & sleep 300'), timeoutMs: 200 })).catch(resultOf);
    equal(result.status, 'timeout');
  },
  async 'env changes'() {
    await withEngine(async (engine) => {
      const { stdout: inherited } = await engine.run(shell('echo "$SMOKE_SECRET"'));
      process.env.SMOKE_NEW = 'new';
      delete process.env.SMOKE_SECRET;
      const { stdout } = await engine.run(shell('echo "[$SMOKE_NEW][$SMOKE_SECRET]"'));
      delete process.env.SMOKE_NEW;
      const { stdout: after } = await engine.run(shell('echo "[$SMOKE_NEW]"'));
      equal([inherited, stdout, after], ['of the parent\n', '[new][]\n', '[]\n']);
    });
  },
  async 'secrets masked'() {
    const secret = 'correct-horse-battery';
    const { stdout } = await withEngine((engine) => engine.run(shell(`echo "a ${secret} b"`)), { secrets: [secret] });
    equal([stdout.includes(secret), /^a .* b\n$/.test(stdout)], [false, true]);
  },
  async 'worker ends'() {
    for (const way of ['terminate', 'exit']) {
      const worker = new Worker(new URL(import.meta.url), { workerData: { smoke: way } });
      const ended = new Promise((resolve) => worker.once('exit', resolve));
      const pids = await within(
        new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject)),
        'the tree of a worker',
      );
      if (way === 'terminate') await worker.terminate();
      else worker.postMessage('exit');
      await within(ended, 'the end of a worker');
      await gone(pids);
    }
  },
  async 'process exits'() {
    for (const way of ['exit', 'SIGKILL']) {
      const host = spawn(process.execPath, [...process.argv.slice(2), file], {
        env: { ...process.env, SMOKE_HOST: way },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const ended = new Promise((resolve) => host.once('exit', resolve));
      const pids = await within(
        new Promise((resolve) => host.stdout.once('data', (text) => resolve(JSON.parse(String(text))))),
        'the tree of a host',
      );
      if (way === 'SIGKILL') host.kill('SIGKILL');
      await within(ended, 'the end of a host');
      await gone(pids);
    }
  },
  async 'two copies'() {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'runtime-smoke-'));
    try {
      const addons = readdirSync(root).filter((name) => /^execution-engine\..+\.node$/.test(name));
      for (const name of ['package.json', 'dist/engine.js', ...addons]) cpSync(path.join(root, name), path.join(folder, name));
      const other = require(folder);
      const refused = await new other.ExecutionEngine().run({}).catch((error) => error);
      equal([other.ExecutionError === ExecutionError, refused instanceof ExecutionError, refused.code], [false, true, 'INVALID_REQUEST']);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};

if (!isMainThread && workerData?.smoke) await inWorker();
else if (process.env.SMOKE_HOST) await asHost(process.env.SMOKE_HOST);
else if (process.env.SMOKE_DENIED) await denied();
else await all();

async function all() {
  let failed = false;
  for (const [check, part] of Object.entries(checks)) {
    const problem = await within(part(), check).then(
      () => undefined,
      (error) => String(error?.stack ?? error),
    );
    failed ||= problem !== undefined;
    console.log(JSON.stringify({ check, problem }));
  }
  // A check that failed may have left something that keeps the process alive.
  process.exit(failed ? 1 : 0);
}

async function inWorker() {
  const engine = new ExecutionEngine();
  parentPort.once('message', () => process.exit());
  parentPort.postMessage((await startTree(engine)).pids);
}

async function asHost(way) {
  const engine = new ExecutionEngine();
  console.log(JSON.stringify((await startTree(engine)).pids));
  if (way === 'exit') setTimeout(() => process.exit(), 100);
}

/** Checks a process that may start no other. */
async function denied() {
  const { code } = await new ExecutionEngine().run(shell('true')).catch((error) => error);
  console.log(JSON.stringify({ check: 'permission', problem: code === 'PERMISSION_DENIED' ? undefined : `run() gave ${code}` }));
  process.exit();
}

async function withEngine(use, config) {
  const engine = new ExecutionEngine(config);
  try {
    return await use(engine);
  } finally {
    await engine.shutdown();
  }
}

async function startTree(engine) {
  const line = new Promise((resolve) => engine.on('stdout', (event) => resolve(event.line)));
  const id = await engine.execute(TREE);
  return { id, pids: (await within(line, 'the first line of a tree')).split(' ').map(Number) };
}

function resultOf(error) {
  if (!error.result) throw error;
  return error.result;
}

async function gone(pids) {
  const endsAt = Date.now() + LIMIT_MS / 2;
  while (pids.some(isAlive)) {
    if (Date.now() > endsAt) {
      const left = pids.filter(isAlive);
      for (const pid of left) process.kill(pid, 'SIGKILL');
      throw new Error(`${left.length} of ${pids.length} processes run on`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    // A zombie runs no more.
    return process.platform !== 'linux' || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** Rejects where something does not come in time. */
function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come within ${LIMIT_MS} ms`)), LIMIT_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function equal(actual, expected) {
  const [found, wanted] = [actual, expected].map((value) => JSON.stringify(value));
  if (found !== wanted) throw new Error(`it is ${found}, and not ${wanted}`);
}
