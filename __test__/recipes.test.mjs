// The recipes of docs/stop.md: with the real tool where it is installed, and with stand-ins, which show that the options are needed.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { newEngine } from './helpers/engine.mjs';
import { exec, file, folder } from './helpers/programs.mjs';
import { Workshop, blocks, isShown, page, root } from './helpers/snippets.mjs';

const unix = { skip: process.platform === 'win32' && 'there are no such signals' };
const TOOLS = path.join(root, '__test__', 'helpers', 'tools');

const found = blocks(page('docs/stop.md')).filter(Workshop.takes);
const recipe = (word) => found.find(({ code }) => code.includes(word));

/** Needs no provider that would have to be downloaded. */
const SLOW = `
resource "terraform_data" "slow" {
  provisioner "local-exec" {
    command = "exec sleep 300"
  }
}
`;

describe('with the real tool', () => {
  const workshop = new Workshop();
  const terraform = recipe("program: 'terraform'");
  before(() => workshop.add(terraform));
  after(() => workshop.close());
  const skip = spawnSync('terraform', ['version']).status !== 0 && 'terraform is NOT INSTALLED: the recipe was run with its stand-in only';

  test('terraform releases its lock', { skip }, async () => {
    const dir = workshop.folderOf(terraform);
    file(dir, 'main.tf', SLOW);
    const { status, stderr } = spawnSync('terraform', ['init', '-input=false'], { cwd: dir, encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    const nowhere = path.join(dir, 'no-stand-ins');
    const { code, stdout, stderr: errors } = await workshop.run(terraform, nowhere);
    assert.deepEqual({ code, errors }, { code: 0, errors: '' });
    assert.ok(isShown(terraform.output, stdout), stdout);
    assert.ok(existsSync(path.join(dir, 'terraform.tfstate')), 'it was the real one');
  });
});

describe('the stand-ins need what the recipes say', { concurrency: 2, ...unix }, () => {
  /** Runs a stand-in until it prints `word`, then ends it. */
  async function ended(t, name, word, options) {
    const cwd = folder(t);
    const engine = newEngine(t, { killGraceMs: 1_500 });
    const stream = engine.stream({ ...exec(path.join(TOOLS, name), 'up'), workingDir: cwd }, options);
    for await (const event of stream) if (event.type === 'stdout' && event.line.includes(word)) break;
    return { isLocked: existsSync(path.join(cwd, '.terraform.tfstate.lock.info')), ...(await stream.result) };
  }

  test('terraform: SIGINT, and its provider until it has finished', async (t) => {
    const lockedWith = async (options) => (await ended(t, 'terraform', 'Creating', options)).isLocked;
    assert.equal(await lockedWith({}), true);
    assert.equal(await lockedWith({ stopSignal: 'SIGINT' }), true);
    assert.equal(await lockedWith({ stopOrder: 'leader' }), true);
    assert.equal(await lockedWith({ stopSignal: 'SIGINT', stopOrder: 'leader', killGraceMs: 60_000 }), false);
  });

  test('docker compose: one signal', async (t) => {
    assert.match((await ended(t, 'docker', 'started', {})).stdout, /exited with code 137/);
    assert.match((await ended(t, 'docker', 'started', { stopOrder: 'leader', killGraceMs: 60_000 })).stdout, /exited with code 0/);
  });
});
