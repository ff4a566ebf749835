// Runs tests again after each change of `lib`, of a test or its helpers, and of the addon: npm run test:watch -- run stream
//
// The words are names in `__test__`, without `.test.mjs`; without any, the tests of `npm run check`. It is not `node --test --watch`, which does
// not see that the tests load another bundle.
import { spawn } from 'node:child_process';
import { existsSync, watch } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { readArguments, refuse } from './arguments.mjs';
import { writeBundle } from './bundle.mjs';
import { QUICK_TESTS } from './quick-tests.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
/** An editor writes a file in several steps, and a linker needs some time. */
const SETTLED_MS = 100;

const { positionals: names } = readArguments({ words: { name: 'test' } });
const files = (names.length > 0 ? names : QUICK_TESTS).map((name) => path.join('__test__', `${name}.test.mjs`));
const missing = files.find((file) => !existsSync(path.join(root, file)));
if (missing !== undefined) refuse(`there is no ${missing}`);

let timer;
let runner;
let isDue = false;

for (const folder of ['lib', '__test__', path.join('__test__', 'helpers')]) watch(path.join(root, folder), changed);
watch(root, (_type, name) => {
  if (name?.endsWith('.node')) changed();
});
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    runner?.kill(signal);
    process.exit(0);
  });
}
run();

function changed() {
  clearTimeout(timer);
  timer = setTimeout(run, SETTLED_MS);
}

/** Starts the tests, after the end of those that still run. */
function run() {
  isDue = runner !== undefined;
  if (isDue) {
    runner.kill('SIGTERM');
    return;
  }
  try {
    writeBundle();
  } catch {
    // esbuild has printed what is wrong; the next change may be right.
    return;
  }
  const env = { ESCHER_TEST_REPEATS: '1', ...process.env };
  runner = spawn(process.execPath, ['--test', '--test-reporter=spec', ...files], { cwd: root, stdio: 'inherit', env });
  runner.once('exit', () => {
    runner = undefined;
    if (isDue) run();
    else console.log(`\n━━ ${new Date().toLocaleTimeString()}: waiting for a change (Ctrl-C ends this)`);
  });
}
