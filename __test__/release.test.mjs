// A release consists of packages that hold what they need, that install in an empty folder, and that run.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';

import { inspect, problems } from '../scripts/addon.mjs';
import { packageName, targets } from '../scripts/packages.mjs';
import { defects, pack, published, smoke, stage } from '../scripts/release.mjs';
import { PLACES, versionProblems, withVersion } from '../scripts/version.mjs';
import { ADDON, PLATFORM_PACKAGE, TARGET, VERSION } from './helpers/installations.mjs';
import { folder } from './helpers/programs.mjs';
import { root } from './helpers/snippets.mjs';

const place = path.join(root, 'target', 'release-test');
const read = (...names) => readFileSync(path.join(place, 'staged', ...names), 'utf8');

describe('the packages of a release', () => {
  let tarballs;
  before(() => {
    tarballs = pack(stage(path.join(place, 'staged'), { wanted: [TARGET] }), path.join(place, 'tarballs'));
  });

  test('hold what they need, and nothing else', () => {
    assert.deepEqual(defects(tarballs), []);
    const [platform, main] = tarballs;
    assert.deepEqual(
      platform.files.sort(),
      ['LICENSE', 'README.md', 'THIRD-PARTY-NOTICES.md', path.basename(ADDON), 'package.json'].sort(),
    );
    assert.deepEqual(
      main.files.filter((name) => name.endsWith('.js')),
      ['dist/engine.js'],
    );
    assert.deepEqual(main.files.filter((name) => !name.includes('/')).sort(), [
      'CHANGELOG.md',
      'CONTRIBUTING.md',
      'LICENSE',
      'README.md',
      'SECURITY.md',
      'index.d.ts',
      'package.json',
    ]);
  });

  test('install in an empty folder and run', () => smoke(tarballs));

  test('name each other in one version, and run no script', () => {
    const main = JSON.parse(read('main', 'package.json'));
    assert.deepEqual([main.scripts, main.devDependencies, main.napi, main.dependencies], [undefined, undefined, undefined, undefined]);
    assert.deepEqual(main.optionalDependencies, Object.fromEntries(targets.map((target) => [packageName(target), VERSION])));
    const platform = JSON.parse(read(TARGET, 'package.json'));
    assert.deepEqual(
      [platform.name, platform.version, platform.scripts, platform.type],
      [PLATFORM_PACKAGE, VERSION, undefined, 'commonjs'],
    );
    for (const field of ['repository', 'license', 'os', 'cpu', 'engines']) assert.ok(platform[field], field);
  });

  test('have no link that leads nowhere', () => {
    const main = path.join(place, 'staged', 'main');
    const pages = readdirSync(main, { recursive: true }).filter((name) => name.endsWith('.md'));
    assert.ok(pages.length > 10);
    for (const page of pages) {
      for (const [, target] of read('main', page)
        .replace(/^```[\s\S]*?^```$/gm, '')
        .matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target) || target.startsWith('#')) continue;
        assert.ok(existsSync(path.join(main, path.dirname(page), target.replace(/#.*$/, ''))), `${page}: ${target}`);
      }
    }
  });

  test('have examples that import the package by its name', () => {
    for (const name of readdirSync(path.join(place, 'staged', 'main', 'examples')).filter((file) => /\.(mjs|ts)$/.test(file))) {
      const text = read('main', 'examples', name);
      assert.match(text, /'@escher\/execution-engine'/, name);
      assert.doesNotMatch(text, /'\.\.\/(index|dist)/, name);
    }
  });
});

test('a package without its addon is refused', (t) => {
  const addons = folder(t);
  assert.throws(() => stage(path.join(folder(t), 'staged'), { addons, wanted: [TARGET] }), /there is no addon for/);
  assert.throws(
    () => stage(path.join(folder(t), 'staged')),
    /there is no addon for/,
    'of all targets, those of other systems are not here',
  );
});

test('the folder of a platform is packed with its addon only', (t) => {
  const place = path.join(folder(t), TARGET);
  cpSync(path.join(root, 'npm', TARGET), place, { recursive: true });
  const addon = path.basename(ADDON);
  rmSync(path.join(place, addon), { force: true });
  const packed = () => spawnSync('npm', ['pack', '--dry-run'], { cwd: place, encoding: 'utf8', shell: process.platform === 'win32' });
  const without = packed();
  assert.notEqual(without.status, 0);
  assert.match(without.stderr, new RegExp(`ENOENT[^\\n]*${addon}`));
  writeFileSync(path.join(place, addon), 'an addon');
  assert.equal(packed().status, 0);
});

test('an addon under the name of another target is refused', (t) => {
  const addons = folder(t);
  const other = targets.find(({ os, cpu }) => os !== process.platform && cpu !== process.arch);
  copyFileSync(ADDON, path.join(addons, `execution-engine.${other.name}.node`));
  assert.throws(
    () => stage(path.join(folder(t), 'staged'), { addons, wanted: [other.name] }),
    new RegExp(`is for ${process.platform} ${process.arch}( \\w+)?, and not for ${other.name}`),
  );
});

test('an addon for another C library is refused', { skip: process.platform !== 'linux' && 'one C library is in use there' }, (t) => {
  const addons = folder(t);
  const { libc } = targets.find(({ name }) => name === TARGET);
  const other = targets.find((target) => target.os === 'linux' && target.cpu === process.arch && target.libc !== libc);
  copyFileSync(ADDON, path.join(addons, `execution-engine.${other.name}.node`));
  assert.throws(
    () => stage(path.join(folder(t), 'staged'), { addons, wanted: [other.name] }),
    new RegExp(`is for linux ${process.arch} ${libc}, and not for ${other.name}`),
  );
});

test('a tarball that lacks its addon is a defect', (t) => {
  const staged = folder(t);
  const target = targets.find(({ name }) => name === TARGET);
  mkdirSync(path.join(staged, TARGET));
  cpSync(path.join(root, 'npm', TARGET), path.join(staged, TARGET), { recursive: true });
  rmSync(path.join(staged, TARGET, path.basename(ADDON)), { force: true });
  const tarballs = pack([{ name: PLATFORM_PACKAGE, folder: path.join(staged, TARGET), target }], path.join(staged, 'tarballs'));
  assert.deepEqual(defects(tarballs), [`${PLATFORM_PACKAGE} has no ${path.basename(ADDON)}`]);
});

describe('an addon that is not to be released', () => {
  test('needs a C library that is too new', { skip: process.platform !== 'linux' && 'it reads ELF files' }, () => {
    const { glibc } = inspect(ADDON);
    if (glibc !== undefined) assert.match(glibc, /^2\.\d+$/);
    assert.deepEqual(problems({ bytes: 1, paths: [], glibc: '2.34' }, '2.17'), ['it needs glibc 2.34, and may need 2.17']);
    assert.deepEqual(problems({ bytes: 1, paths: [], glibc: '2.9' }, '2.17'), []);
  });

  test('is too large', () => {
    assert.match(problems({ bytes: 3_000_001, paths: [] })[0], /3000001 bytes/);
  });

  test('contains folders of the machine that built it', (t) => {
    assert.deepEqual(inspect(ADDON).paths, []);
    const file = path.join(folder(t), 'x.node');
    for (const trace of [
      '/home/me/project/src/lib.rs',
      '/Users/me/src/lib.rs',
      'C:\\Users\\me\\lib.rs',
      'D:\\a\\engine\\lib.rs',
      `${root}/src/lib.rs`,
      '/opt/.cargo/registry/src/x.rs',
    ]) {
      writeFileSync(file, Buffer.concat([readFileSync(ADDON), Buffer.from(`\0${trace}\0`)]));
      assert.match(
        problems(inspect(file), '999').find((problem) => problem.includes('paths')) ?? '',
        /contains paths of the machine/,
        trace,
      );
    }
  });
});

test('the workflow of a release builds and runs each target', () => {
  const workflow = readFileSync(path.join(root, '.github', 'workflows', 'release.yml'), 'utf8');
  const [, build, smokes] = /\n {2}build:\n([\s\S]*)\n {2}smoke:\n([\s\S]*)\n {2}publish:\n/.exec(workflow);
  const triples = targets.map(({ triple }) => triple).sort();
  for (const job of [build, smokes]) {
    const named = [...job.matchAll(/\{ target: ([\w-]+), host:/g)].map(([, triple]) => triple);
    assert.deepEqual(named.sort(), triples);
  }
});

describe('the workflow of a release', () => {
  const text = (name) => readFileSync(path.join(root, '.github', 'workflows', name), 'utf8');
  const workflow = text('release.yml');
  const jobs = Object.fromEntries(
    workflow
      .slice(workflow.indexOf('\njobs:\n'))
      .split(/\n {2}(?=[a-z]+:\n)/)
      .slice(1)
      .map((job) => [/^[a-z]+/.exec(job)[0], job]),
  );

  test('publishes nothing that has not been built, run and tested', () => {
    const needs = (name) => {
      const found = /^ {4}needs: \[?([^\]\n]*)/m.exec(jobs[name])?.[1].split(', ') ?? [];
      return [...found, ...found.flatMap(needs)];
    };
    const others = Object.keys(jobs).filter((name) => name !== 'publish');
    assert.deepEqual([...new Set(needs('publish'))].sort(), others.sort());
    assert.match(jobs.tests, /uses: \.\/\.github\/workflows\/ci\.yml/);
  });

  test('gives its rights to the job that publishes, which runs only scripts of this project', () => {
    for (const [name, job] of Object.entries(jobs)) {
      assert.equal(/secrets\.|: write\n/.test(job), name === 'publish', name);
      if (name === 'publish') assert.doesNotMatch(job, /cargo |npm (ci|install)|pip /);
    }
  });

  test('does not wait for itself where it calls another', () => {
    // A called workflow sees the name of its caller. GitHub does not distinguish the case of letters in these names.
    const group = (name) => /^ {2}group: (.*)$/m.exec(text(name))?.[1].replace('${{ github.workflow }}', 'Release').toLowerCase();
    const called = [...workflow.matchAll(/uses: \.\/\.github\/workflows\/(.*)/g)].map(([, name]) => name);
    assert.deepEqual(called.sort(), ['advisories.yml', 'ci.yml']);
    for (const name of called) {
      assert.match(text(name), /^ {2}workflow_call:$/m, name);
      assert.notEqual(group(name), group('release.yml'), name);
    }
  });

  /** The steps of a job, by their text. */
  const steps = (job) => job.split(/\n {6}- /).slice(1);

  test('uploads nothing where it was started by hand, which may be for a tag too', () => {
    const uploads = steps(jobs.publish).filter((step) => /attest-build|release\.mjs publish(?! --dry-run)|gh release/.test(step));
    assert.equal(uploads.length, 3);
    for (const step of uploads) assert.match(step, /^ {8}if: github\.event_name == 'push'$/m);
  });

  test('releases only what is on the main branch', (t) => {
    const check = steps(jobs.version).find((step) => step.includes('merge-base'));
    assert.match(jobs.version, /fetch-depth: 0/);
    assert.match(check, /^ {8}if: github\.event_name == 'push'$/m);
    const [, line] = /^ {8}run: (.*)$/m.exec(check);
    const cwd = folder(t);
    const sh = (command) =>
      spawnSync('sh', ['-c', command], {
        cwd,
        encoding: 'utf8',
        env: { ...process.env, DEFAULT_BRANCH: 'main', GIT_CONFIG_GLOBAL: '/dev/null' },
      });
    const commit = 'git -c user.name=a -c user.email=a@b commit -q --allow-empty -m one';
    assert.equal(sh(`git init -q . && ${commit} && git update-ref refs/remotes/origin/main HEAD`).status, 0);
    assert.equal(sh(line).status, 0);
    assert.equal(sh(commit).status, 0);
    const { status, stdout } = sh(line);
    assert.deepEqual([status, stdout], [1, '::error::the tag is on no commit of main\n']);
  });

  test('marks a version that comes before a release as such', () => {
    assert.match(jobs.publish, /gh release create [^\n]*\$\{\{ contains\(github\.ref_name, '-'\) && '--prerelease' \|\| '' \}\}/);
  });

  test('fetches tools in one version', () => {
    assert.match(jobs.build, /pip.* install .*--requirement \.ci\/cross\.txt/);
    for (const [, tool] of workflow.matchAll(/cargo install .*?(\S+)$/gm)) assert.match(tool, /@\d+\.\d+\.\d+$/);
  });
});

describe('a version', () => {
  const lock = '[[package]]\nname = "escher-execution-engine"\nversion = "1.2.3"\n';
  const files = {
    'package.json': '{\n  "version": "1.2.3",\n  "private": true\n}\n',
    'package-lock.json':
      '{\n  "version": "1.2.3",\n  "packages": {\n    "": {\n      "name": "it",\n      "version": "1.2.3"\n    },\n    "a": {\n      "version": "4.5.6"\n    }\n  }\n}\n',
    'Cargo.toml': '[workspace]\nmembers = []\n\n[package]\nname = "escher-execution-engine"\nversion = "1.2.3"\n',
    ...Object.fromEntries(['', 'benches/core/', 'examples/tauri/', 'fuzz/', 'tests/consumer/'].map((at) => [`${at}Cargo.lock`, lock])),
    'docs/cargo.md': '[dependencies]\nescher-execution-engine = { git = "https://x", tag = "v1.2.3" }\n',
    'CHANGELOG.md': '## [Unreleased]\n\n## [1.2.3] - 2026-01-31\n',
  };
  const problemsOf = (changed, tag) => versionProblems((name) => ({ ...files, ...changed })[name], tag);

  test('is the same in each file of this project', () => {
    assert.deepEqual(
      versionProblems((name) => readFileSync(path.join(root, name), 'utf8')),
      [],
    );
  });

  test('that differs in a file is refused', () => {
    assert.deepEqual(problemsOf({}), []);
    for (const name of Object.keys(PLACES).filter((one) => one !== 'package.json')) {
      const changed = { [name]: files[name].replace('1.2.3', '1.2.2') };
      assert.deepEqual(problemsOf(changed), [`${name} has version 1.2.2, and package.json has 1.2.3`]);
    }
    const second = { 'package-lock.json': files['package-lock.json'].replace('"version": "1.2.3"\n', '"version": "1.2.2"\n') };
    assert.equal(problemsOf(second).length, 1);
  });

  test('is written into each of them by one command, which dates the changelog', () => {
    const own = (name) => readFileSync(path.join(root, name), 'utf8');
    for (const read of [own, (name) => files[name]]) {
      const texts = withVersion(
        (name) => (name === 'CHANGELOG.md' ? '# It\n\n## [Unreleased]\n\n- Some.\n' : read(name)),
        '9.8.7',
        '2026-02-28',
      );
      assert.deepEqual(
        versionProblems((name) => texts.get(name), 'v9.8.7'),
        [],
      );
      assert.equal(texts.get('CHANGELOG.md'), '# It\n\n## [Unreleased]\n\n## [9.8.7] - 2026-02-28\n\n- Some.\n');
      for (const name of Object.keys(PLACES)) {
        const lines = texts.get(name).split('\n');
        const changed = read(name)
          .split('\n')
          .filter((line, index) => line !== lines[index]);
        assert.equal(changed.length, PLACES[name].length, name);
      }
    }
    for (const no of ['', '1.2', 'v1.2.4', '1.2.4 ', 'next'])
      assert.throws(() => withVersion((name) => files[name], no, ''), /is no version/);
    assert.throws(() => withVersion((name) => files[name], '1.2.3', ''), /has an entry for 1\.2\.3 already/);
  });

  const isCheckout = existsSync(path.join(root, '.git'));
  test('is in no lock file that the command does not know', { skip: !isCheckout && 'this is no checkout' }, () => {
    const { stdout } = spawnSync('git', ['ls-files', '*Cargo.lock'], { cwd: root, encoding: 'utf8' });
    const locks = stdout.split('\n').filter(Boolean);
    assert.ok(locks.length > 1);
    for (const name of locks) assert.ok(Object.hasOwn(PLACES, name), name);
  });

  test('is that of the tag, and has a dated entry in the changelog', () => {
    assert.deepEqual(problemsOf({}, 'v1.2.3'), []);
    for (const tag of ['v1.2.4', '1.2.3', 'v1.2.3-rc.1']) assert.match(problemsOf({}, tag)[0], /the tag must be v1\.2\.3/);
    for (const text of ['## [Unreleased]\n', '## [1.2.3]\n', '## [1.2.30] - 2026-01-31\n', '## [1.2.3] - soon\n'])
      assert.match(problemsOf({ 'CHANGELOG.md': text }, 'v1.2.3')[0], /CHANGELOG\.md has no entry/);
  });

  test('leaves nothing unreleased in the changelog', () => {
    const text = '## [Unreleased]\n\n### Added\n\n- Something.\n\n## [1.2.3] - 2026-01-31\n\n- It.\n';
    assert.deepEqual(problemsOf({ 'CHANGELOG.md': text }), []);
    assert.match(problemsOf({ 'CHANGELOG.md': text }, 'v1.2.3')[0], /CHANGELOG\.md has entries under "## \[Unreleased\]"/);
    const last = '## [1.2.3] - 2026-01-31\n\n- It.\n\n## [Unreleased]\n\n- Something.\n';
    assert.equal(problemsOf({ 'CHANGELOG.md': last }, 'v1.2.3').length, 1);
  });
});

test('the packages of the platforms are published first, and all in this version', () => {
  const file = (name, version = VERSION) => `${name.replace('@', '').replace('/', '-')}-${version}.tgz`;
  const main = '@escher/execution-engine';
  const files = [main, ...targets.map(packageName)].map((name) => file(name));
  const names = published(files.toReversed()).map(({ name }) => name);
  assert.deepEqual(names.toSorted(), [main, ...targets.map(packageName)].toSorted());
  assert.equal(names.at(-1), main);
  assert.deepEqual(
    published(files).map((one) => file(one.name)),
    published(files).map((one) => one.file),
  );
  assert.throws(() => published(files.slice(1)), new RegExp(`lacks ${file(main)}`));
  const old = file(packageName(targets[0]), '0.0.1');
  assert.throws(() => published([...files, old]), new RegExp(`has ${old}, which is no package of ${VERSION}`));
  assert.throws(() => published(files.with(1, old)), /lacks /);
});

test('the API of a release is compared with that of the one before', { skip: process.platform === 'win32' && 'it runs on Linux' }, (t) => {
  const cwd = folder(t);
  for (const name of ['crate.mjs', 'arguments.mjs']) cpSync(path.join(root, 'scripts', name), path.join(cwd, 'scripts', name));
  writeFileSync(path.join(cwd, '.gitignore'), 'bin\n');
  mkdirSync(path.join(cwd, 'bin'));
  writeFileSync(path.join(cwd, 'bin', 'cargo'), '#!/bin/sh\necho "$@"\n', { mode: 0o700 });
  const env = { ...process.env, PATH: `${path.join(cwd, 'bin')}:${process.env.PATH}`, GIT_CONFIG_GLOBAL: '/dev/null' };
  const sh = (command) => {
    const { status, stdout, stderr } = spawnSync('sh', ['-c', command], { cwd, encoding: 'utf8', env });
    assert.equal(status, 0, stderr);
    return stdout;
  };
  const commit = 'git add . && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m one';
  const compared = () => /--baseline-rev (\S+)/.exec(sh(`'${process.execPath}' scripts/crate.mjs semver`))?.[1];
  sh(`git init -q . && ${commit} && git tag v0.1.0 && ${commit} && git tag v0.2.0`);
  // In the workflow of a release its own tag is there already.
  assert.equal(compared(), 'v0.1.0');
  writeFileSync(path.join(cwd, 'changed'), '');
  assert.equal(compared(), 'v0.2.0');
  sh(commit);
  assert.equal(compared(), 'v0.2.0');
});

test('the folder of the sources is not published', () => {
  const { scripts } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  assert.equal(scripts.prepublishOnly, 'node scripts/release.mjs refuse');
});

test('the owner of the code and the address for reports are those of the repository', () => {
  const text = (...names) => readFileSync(path.join(root, ...names), 'utf8');
  const { repository, homepage, bugs } = JSON.parse(text('package.json'));
  const [, address, owner] = /^git\+(https:\/\/github\.com\/([\w-]+)\/[\w-]+)\.git$/.exec(repository.url);
  assert.deepEqual([homepage, bugs.url], [`${address}#readme`, `${address}/issues`]);
  assert.ok(text('SECURITY.md').includes(`(${address}/security/advisories/new)`));
  assert.match(text('Cargo.toml'), new RegExp(`^repository = "${address}"$`, 'm'));
  const owners = [...text('.github', 'CODEOWNERS').matchAll(/^[^#\s]\S*((?:\s+@\S+)+)$/gm)].flatMap(([, names]) =>
    names.trim().split(/\s+/),
  );
  assert.ok(owners.length > 0);
  // A person or a team of that account.
  for (const name of owners) assert.equal(name.split('/')[0], `@${owner}`);
});
