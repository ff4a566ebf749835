// Makes one file of `lib`, the one that hosts load: Node.js takes half a millisecond for each file, and `lib` has more than a dozen.
import { buildSync } from 'esbuild';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** Relative to the project; its source map is beside it. It is as deep as `lib`, so that the addon has the same path from both. */
export const BUNDLE = path.join('dist', 'engine.js');

/** The names that an `import` by name can have: Node.js looks for them in the text, which it does not run for that. */
const NAMES = ['ExecutionEngine', 'ExecutionError', 'toSvg', 'toTrace', 'version'];

/** Returns the text of that file, and of its source map. */
export function bundle() {
  const { outputFiles } = buildSync({
    absWorkingDir: root,
    entryPoints: ['lib/index.js'],
    outfile: BUNDLE,
    external: ['@escher/*'],
    define: { ESCHER_VERSION: JSON.stringify(JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')).version) },
    bundle: true,
    write: false,
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    // Node.js 14 can parse everything else, so that it can report that it is too old.
    supported: { 'logical-assignment': false },
    // The option would name each closure anew whenever it is made, some of them for every command.
    keepNames: false,
    // A debugger needs names and lines; without blanks it would be loaded no faster.
    minify: false,
    // The map is read by debuggers, and by Node.js with --enable-source-maps.
    sourcemap: 'linked',
    banner: { js: '// Made of lib/ by scripts/bundle.mjs.' },
    footer: { js: `0 && (module.exports = { ${NAMES.join(', ')} });` },
    logLevel: 'warning',
  });
  const text = (/** @type {string} */ ending) => outputFiles.find((file) => file.path.endsWith(ending)).text;
  return { code: text('.js'), map: text('.js.map') };
}

/** Writes both into the project's folder. */
export function writeBundle() {
  const { code, map } = bundle();
  mkdirSync(path.join(root, path.dirname(BUNDLE)), { recursive: true });
  writeFileSync(path.join(root, BUNDLE), code);
  writeFileSync(path.join(root, `${BUNDLE}.map`), map);
}
