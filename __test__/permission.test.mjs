// Under the permission model of Node.js nothing runs unless child processes are allowed.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { host } from './helpers/hosts.mjs';
import { folder } from './helpers/programs.mjs';

const [major, minor] = process.versions.node.split('.').map(Number);
const skip = major === 20 && minor < 12 && 'this Node.js has no permission model for addons';
const flags = [
  '--no-warnings',
  major >= 24 ? '--permission' : '--experimental-permission',
  '--allow-fs-read=*',
  '--allow-worker',
  ...(process.allowedNodeEnvironmentFlags.has('--allow-addons') ? ['--allow-addons'] : []),
];

const calls = `
  const engine = new ExecutionEngine();
  const plan = { description: 'd', strategy: { type: 'serial' }, commands: [programs.nothing] };
  const drain = async (stream) => { for await (const event of stream) event; };
  const calls = {
    execute: () => engine.execute(programs.nothing),
    run: () => engine.run(programs.nothing),
    stream: () => drain(engine.stream(programs.nothing)),
    'result of a stream': () => engine.stream(programs.nothing).result,
    executePlan: () => engine.executePlan(plan),
    runPlan: () => engine.runPlan(plan),
    streamPlan: () => drain(engine.streamPlan(plan)),
    global: () => ExecutionEngine.initGlobal().run(programs.nothing),
  };
  const seen = {};
  for (const [name, call] of Object.entries(calls)) {
    const error = await call().then(() => ({ code: 'ran' }), (error) => error);
    seen[name] = error.code + (error instanceof ExecutionError && /--allow-child-process/.test(error.message) ? '' : ' ' + error.message);
  }
  console.log([...new Set(Object.values(seen))].join(), engine.listExecutions().length, ExecutionEngine.parseRequest({ command: { type: 'exec', program: 'a' } }).command.program);
  await engine.shutdown();
`;

test('without --allow-child-process', { skip }, async () => {
  const { code, stdout, stderr } = await host(calls, { flags });
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'PERMISSION_DENIED 0 a\n', stderr: '' });
});

test('in a worker too', { skip }, async () => {
  const { code, stdout, stderr } = await host(
    `
    import { Worker } from 'node:worker_threads';
    const source = 'const { parentPort, workerData } = require("node:worker_threads"); import(workerData).then(({ ExecutionEngine }) =>'
      + ' new ExecutionEngine().run({ command: { type: "exec", program: "true" } })).then(() => "ran", (error) => error.code).then((end) => parentPort.postMessage(end));';
    const worker = new Worker(source, { eval: true, execArgv: ${JSON.stringify(flags)}, workerData: ${JSON.stringify(new URL('../index.js', import.meta.url).href)} });
    worker.on('message', (end) => { console.log(end); process.exit(); }).on('error', (error) => { console.log(error.message); process.exit(); });
  `,
    { flags },
  );
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'PERMISSION_DENIED\n', stderr: '' });
});

test('with it', { skip }, async () => {
  const { code, stdout } = await host(
    `
    const engine = new ExecutionEngine();
    console.log((await engine.run(programs.exec('echo', 'ran'))).stdout.trim());
    await engine.shutdown();
  `,
    { flags: [...flags, '--allow-child-process', '--allow-fs-write=*'] },
  );
  assert.deepEqual({ code, stdout }, { code: 0, stdout: 'ran\n' });
});

test('a configuration that may not be read is not read', { skip }, async (t) => {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const hidden = path.join(folder(t), 'hidden.json');
  const shown = path.join(folder(t), 'shown.json');
  for (const file of [hidden, shown]) writeFileSync(file, '{ "max_concurrent_executions": 3 }');
  const allowed = flags.flatMap((flag) =>
    flag === '--allow-fs-read=*' ? [`--allow-fs-read=${root}*`, `--allow-fs-read=${shown}`] : [flag],
  );
  const { code, stdout, stderr } = await host(
    `
    for (const file of ${JSON.stringify([hidden, shown])}) {
      try { console.log(ExecutionEngine.configFromFile(file).maxConcurrentExecutions); }
      catch (error) { console.log(error.code, error.message.includes(file)); }
    }
  `,
    { flags: allowed },
  );
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'PERMISSION_DENIED false\n3\n', stderr: '' });
});
