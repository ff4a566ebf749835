// Many terminals that are open at the same time.
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';

import { measure, repeat } from '../harness/observe.mjs';

const asks = { command: { type: 'shell', command: 'read -r line; echo "<$line>"' } };

/** Returns the microseconds for each of `count` terminals, of which `atOnce` are open at a time. */
export async function manyTerminals({ atOnce, count }) {
  const { ExecutionEngine } = createRequire(import.meta.url)('@escher/execution-engine');
  const engine = new ExecutionEngine({ maxConcurrentExecutions: atOnce });
  let opened;
  engine.on('started', () => opened());
  let threads = 0;
  const crowd = async () => {
    let left = atOnce;
    const all = new Promise((resolve) => {
      opened = () => --left === 0 && resolve();
    });
    const ids = await Promise.all(Array.from({ length: atOnce }, () => engine.execute(asks, { terminal: true, stdin: 'open' })));
    await all;
    threads = Math.max(threads, entries('/proc/self/task'));
    await Promise.all(ids.map((id, number) => engine.write(id, `${number}\n`)));
    const results = await Promise.all(ids.map((id) => engine.waitForCompletion(id)));
    for (const [number, { exitCode, stdout }] of results.entries())
      if (exitCode !== 0 || !stdout.includes(`<${number}>`)) throw new Error(`a terminal ended with ${exitCode}: ${stdout}`);
  };
  await crowd();
  const before = entries('/proc/self/fd');
  const crowds = Math.ceil(count / atOnce);
  const seen = await measure(() => repeat(crowds, 1, crowd));
  const ran = crowds * atOnce;
  const columns = { cpuMicros: seen.cpuMicros / ran, threads, descriptors: Math.max(0, entries('/proc/self/fd') - before) };
  await engine.shutdown();
  return { value: (seen.seconds * 1e6) / ran, columns };
}

/** Systems without this folder have no such count. */
const entries = (folder) => (existsSync(folder) ? readdirSync(folder).length : Number.NaN);
