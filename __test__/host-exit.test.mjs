// No tree survives its host, however that goes.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { host } from './helpers/hosts.mjs';
import { allowed } from './helpers/pace.mjs';
import { isAlive, until } from './helpers/programs.mjs';

const WAYS = {
  "the end of an unref'd program": 'engine.unref();',
  'process.exit': 'process.exit(0);',
  'an uncaught exception': 'throw new Error("on purpose");',
  'process.exit in a listener': 'engine.on("stdout", () => process.exit(0)); await engine.execute(programs.flood);',
  SIGTERM: 'process.kill(process.pid, "SIGTERM"); await new Promise((resolve) => setTimeout(resolve, 5_000));',
  SIGINT: 'process.kill(process.pid, "SIGINT"); await new Promise((resolve) => setTimeout(resolve, 5_000));',
  SIGKILL: 'process.kill(process.pid, "SIGKILL"); await new Promise((resolve) => setTimeout(resolve, 5_000));',
  abort: 'process.abort();',
};
/** The exit codes and signals of the ways that do not end with code 0. */
const ENDS = { 'an uncaught exception': 1, SIGTERM: 'SIGTERM', SIGINT: 'SIGINT', SIGKILL: 'SIGKILL', abort: 'SIGABRT' };

describe('host exit', { concurrency: 4 }, () => {
  for (const [way, source] of Object.entries(WAYS)) {
    test(way, async () => {
      const { stdout, code, signal } = await host(`
        import { writeSync } from 'node:fs';
        const engine = new ExecutionEngine({ killGraceMs: 200 });
        let ready = 0;
        const all = new Promise((resolve) => engine.on('event', (event) => {
          if (event.type === 'started') writeSync(1, event.pid + '\\n');
          if (event.line === 'ready' && (ready += 1) === 2) resolve();
        }));
        await engine.execute(programs.forever);
        await engine.execute(programs.stubborn);
        await all;
        ${source}
      `);
      const pids = stdout.trim().split('\n').map(Number);
      assert.ok(pids.length >= 2, `it said ${stdout}`);
      assert.equal(signal ?? code, ENDS[way] ?? 0);
      await until(
        () => pids.every((pid) => !isAlive(pid)),
        `the trees of the host are gone (${pids.filter(isAlive)})`,
        allowed(1_000),
      ).finally(() => {
        for (const pid of pids.filter(isAlive)) process.kill(-pid, 'SIGKILL');
      });
    });
  }
});
