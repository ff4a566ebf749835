// `guardian: false` and a host that exits: the stop signal, half a second at most, SIGKILL, and nothing survives.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';

import { gone, guarded, guardiansOf, KINDS, marked, newMark, SHELL } from './helpers/guardians.mjs';
import { succeedsOnce } from './helpers/pace.mjs';
import { folder, until } from './helpers/programs.mjs';

const linux = process.platform === 'linux' ? {} : { skip: 'processes are looked for in /proc' };
const WAYS = {
  'process.exit': 'process.exit(0)',
  'an uncaught exception': 'throw new Error("on purpose")',
  'a natural end': 'for (const one of [engine, ...engines]) one.unref(); clearInterval(stays); process.stdin.destroy()',
  'an unhandled rejection': 'Promise.reject(new Error("on purpose"))',
};
/** The exit waits no longer than this for the trees. */
const LONGEST_EXIT_MS = 500;
/** Returns a line that ignores the stop signal, which the kinds of trees do not do by themselves. */
const stubborn = (line) => `trap '' TERM HUP INT; ${line}`;

/** A host without a guardian that runs lines, each in an engine of its own, and exits when it reads something. */
const runs = (lines, way, config) => `
  process.stdin.once('data', () => { ${way}; });
  const engines = [];
  for (const line of ${JSON.stringify(lines)}) {
    const one = new ExecutionEngine(${JSON.stringify(config)});
    engines.push(one);
    one.on('stdout', ({ line }) => say(line));
    one.execute({ command: { type: 'shell', command: line, shell: '${SHELL}' } });
  }
`;

async function hosted(t, lines, way, config) {
  const whole = { guardian: false, killGraceMs: 60_000, ...config };
  const host = await guarded(t, runs(lines, WAYS[way], whole), { config: whole });
  for (const _ of lines) assert.equal(await host.next(), 'ready');
  assert.deepEqual(guardiansOf(host.pid), []);
  return host;
}

describe('a host without a guardian', { concurrency: 2, ...linux }, () => {
  for (const way of Object.keys(WAYS)) {
    test(`a trap of the stop signal removes its lock file before the host is gone: ${way}`, async (t) => {
      const attempt = async () => {
        const [mark, lock] = [newMark(), path.join(folder(t), 'lock')];
        const line = `trap 'rm "${lock}"; exit 0' TERM; : > "${lock}"; sleep 1000.${mark} & echo ready; wait`;
        const host = await hosted(t, [line], way);
        host.child.stdin.write('go\n');
        await host.exited;
        const isRemoved = !existsSync(lock);
        await gone(mark);
        return isRemoved;
      };
      await assert.doesNotReject(succeedsOnce(attempt), 'it was killed before its trap');
    });

    for (const controlGroups of [true, false]) {
      test(`nothing survives it that does not heed the stop signal: ${way}, controlGroups ${controlGroups}`, async (t) => {
        const mark = newMark();
        // Each of its processes exists when its first line has come: a process that is started later would have no mark yet.
        const lines = Object.values(KINDS).map((kind) => stubborn(kind(mark).replace(/^/, '(sleep 0.3; echo ready) & ')));
        const host = await hosted(t, lines, way, { controlGroups });
        await until(() => marked(mark).length >= 12, 'the trees have grown');
        const before = performance.now();
        host.child.stdin.write('go\n');
        await host.exited;
        const took = performance.now() - before;
        // After half a second the exit does not wait for those that it has killed.
        if (took < LONGEST_EXIT_MS) assert.deepEqual(marked(mark), [], 'gone when the host is');
        await gone(mark);
      });
    }
  }

  test('the trees of several engines get the stop signal together, not one after the other', async (t) => {
    const names = ['a', 'b', 'c'];
    const attempt = async () => {
      const [mark, dir] = [newMark(), folder(t)];
      const all = names.map((name) => `[ -e ${dir}/${name} ]`).join(' && ');
      const line = (name) =>
        `trap ': > ${dir}/${name}' TERM; echo ready; while :; do sleep 0.02; if ${all}; then : > ${dir}/${name}.all; fi; : ${mark}; done`;
      const host = await hosted(t, names.map(line), 'process.exit');
      host.child.stdin.write('go\n');
      await host.exited;
      await gone(mark);
      return names.every((name) => existsSync(path.join(dir, `${name}.all`)));
    };
    await assert.doesNotReject(succeedsOnce(attempt), 'some were killed before others had the signal');
  });
});
