// The declarations: strict programs compile with them, and each says what it is.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { compile } from '../scripts/types.mjs';
import { folder } from './helpers/programs.mjs';
import { NO_COMPILER, root } from './helpers/snippets.mjs';

const modules = path.join(root, 'node_modules');

test('strict programs compile, declarations included', { skip: NO_COMPILER }, (t) => {
  const { own, theirs } = compile(path.join(folder(t), 'program'), path.join(modules, 'typescript'), modules);
  assert.deepEqual({ own, theirs }, { own: [], theirs: [] });
});

test('every declaration has a doc comment', () => {
  const lines = readFileSync(path.join(root, 'index.d.ts'), 'utf8').split('\n');
  const isDeclaration = (line) =>
    /^(export |declare |interface |type |class |function )/.test(line) ||
    /^ +((static|readonly|get|set) )*(\[.+?\]|\w+)\??[:(<]/.test(line);
  const declarations = lines
    .map((line, index) => ({ line, at: index + 1, before: lines[index - 1] }))
    .filter(({ line }) => isDeclaration(line));
  assert.ok(declarations.length > 350, `${declarations.length} were found`);
  const bare = declarations.filter(({ before }) => !before?.endsWith('*/'));
  assert.deepEqual(
    bare.map(({ at, line }) => `index.d.ts:${at}: ${line.trim()}`),
    [],
  );
});
