// The packages of the platforms: what is in `npm/<target>` beside the addon.
//
//   node scripts/packages.mjs            writes them
//   node scripts/packages.mjs --check    reports what has changed since
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { readArguments } from './arguments.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const read = (...names) => readFileSync(path.join(root, ...names), 'utf8');
export const main = JSON.parse(read('package.json'));

const CPUS = { x86_64: 'x64', aarch64: 'arm64' };
const SYSTEMS = { linux: 'linux', apple: 'darwin', pc: 'win32' };
const LIBC = { gnu: 'glibc', musl: 'musl' };
const NAMES = { linux: 'Linux', darwin: 'macOS', win32: 'Windows', glibc: ' with glibc', musl: ' with musl' };

/**
 * @typedef {object} Target
 * @property {string} triple As Rust names it.
 * @property {string} name As the packages and the addons are named.
 * @property {string} os
 * @property {string} cpu
 * @property {string} [libc]
 */

/** The targets that `package.json` names. @type {Target[]} */
export const targets = main.napi.targets.map((/** @type {string} */ triple) => {
  const [machine, vendor, system, abi] = triple.split('-');
  const [cpu, os] = [CPUS[machine], SYSTEMS[vendor === 'unknown' ? system : vendor]];
  if (!cpu || !os) throw new Error(`package.json names an unknown target: ${triple}`);
  const name = [os, cpu, abi].filter(Boolean).join('-');
  return { triple, name, os, cpu, ...(os === 'linux' && { libc: LIBC[abi] }) };
});

export const packageName = ({ name }) => `${main.name}-${name}`;
export const addonName = ({ name }) => `execution-engine.${name}.node`;

/** The files in a platform's package beside its addon. */
export const FILES = ['package.json', 'README.md', 'LICENSE', 'THIRD-PARTY-NOTICES.md'];

/** Fails where the addon is not beside `package.json`: npm gives no error for a missing file. The script is not in the released package. */
const PREPACK = `node -e "require('node:fs').accessSync(require('./package.json').main)"`;

/** Returns the texts of a platform's package, by their names. @param {Target} target */
function texts(target) {
  const { name, os, cpu, libc, triple } = target;
  const system = `${NAMES[os]}${NAMES[libc] ?? ''}, ${cpu}`;
  const files = [addonName(target), ...FILES.slice(1)];
  const manifest = {
    name: packageName(target),
    version: main.version,
    description: `The addon of ${main.name} for ${system}`,
    homepage: main.homepage,
    bugs: main.bugs,
    repository: { ...main.repository, directory: `npm/${name}` },
    license: main.license,
    author: main.author,
    type: 'commonjs',
    main: addonName(target),
    files,
    os: [os],
    cpu: [cpu],
    ...(libc && { libc: [libc] }),
    engines: main.engines,
    publishConfig: main.publishConfig,
    scripts: { prepack: PREPACK },
  };
  const readme = `# ${packageName(target)}

The addon of [${main.name}](${main.homepage}) for ${system} (\`${triple}\`).

Do not install it by itself: \`npm install ${main.name}\` installs it on systems that it is for. Both must have the same version.
`;
  return new Map([
    ['package.json', `${JSON.stringify(manifest, null, 2)}\n`],
    ['README.md', readme],
    ['LICENSE', read('LICENSE')],
    ['THIRD-PARTY-NOTICES.md', notices(target)],
  ]);
}

/** Returns the licences of the crates that are linked into an addon; the texts that several of them share, once. @param {Target} target */
function notices(target) {
  const byText = new Map();
  const crates = linkedCrates(target.triple);
  for (const crate of crates) {
    for (const text of licenceTexts(crate)) byText.set(text, [...(byText.get(text) ?? []), `${crate.name} ${crate.version}`]);
  }
  const list = crates.map(
    ({ name, version, license, repository }) => `- ${name} ${version}: ${license}${repository ? `, ${repository}` : ''}`,
  );
  list.push('- Rust standard library: MIT OR Apache-2.0, https://github.com/rust-lang/rust');
  const sections = [...byText].map(([text, names]) => `## ${names.join(', ')}\n\n${fenced(text)}\n`);
  return `# Third-party notices\n\nThis addon contains the following software.\n\n${list.join('\n')}\n\n${sections.join('\n')}`;
}

const fenced = (text) => `\`\`\`\`text\n${text}\n\`\`\`\``;

/** Returns what a target's addon is linked with: dependencies of the features that it has, procedural macros and build scripts apart. */
function linkedCrates(triple) {
  const args = ['metadata', '--format-version', '1', '--locked', '--features', 'node', '--filter-platform', triple];
  const { status, stdout, stderr } = spawnSync('cargo', args, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 28 });
  if (status !== 0) throw new Error(`cargo metadata failed: ${stderr}`);
  const { packages, resolve } = JSON.parse(stdout);
  const byId = new Map(packages.map((crate) => [crate.id, crate]));
  const nodes = new Map(resolve.nodes.map((node) => [node.id, node]));
  const isLibrary = (crate) => crate.targets.some(({ kind }) => kind.some((one) => ['lib', 'rlib'].includes(one)));
  const found = new Map();
  const visit = (id) => {
    for (const { pkg, dep_kinds: kinds } of nodes.get(id).deps) {
      const crate = byId.get(pkg);
      if (found.has(pkg) || !kinds.some(({ kind }) => kind === null) || !isLibrary(crate)) continue;
      found.set(pkg, crate);
      visit(pkg);
    }
  };
  visit(resolve.root);
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.version < b.version ? -1 : 1));
}

/** Returns the texts of the licences of a crate, one of those that it offers: MIT where it can be chosen. */
function licenceTexts(crate) {
  const folder = path.dirname(crate.manifest_path);
  const all = readdirSync(folder)
    .filter((name) => /^(licen[cs]e|copying|copyright|notice|unlicense)/i.test(name) && !/\.(rs|html)$/.test(name))
    .sort();
  const mit = all.filter((name) => /mit/i.test(name));
  const isChoice = / OR |\//.test(crate.license ?? '');
  const chosen = isChoice && mit.length > 0 ? [...mit, ...all.filter((name) => /^notice/i.test(name))] : all;
  return chosen.map((name) =>
    readFileSync(path.join(folder, name), 'utf8')
      .replaceAll('\r\n', '\n')
      .replace(/[ \t]+$/gm, '')
      .trim(),
  );
}

/** Returns what differs from the files of the project. */
export function stale() {
  const differing = [];
  for (const target of targets) {
    for (const [name, text] of texts(target)) {
      const file = path.join('npm', target.name, name);
      if (!existsSync(path.join(root, file)) || read(file) !== text) differing.push(file);
    }
  }
  const known = targets.map(({ name }) => name);
  return [
    ...differing,
    ...readdirSync(path.join(root, 'npm'))
      .filter((name) => !known.includes(name))
      .map((name) => `npm/${name}`),
  ];
}

function write() {
  const known = targets.map(({ name }) => name);
  for (const name of readdirSync(path.join(root, 'npm')))
    if (!known.includes(name)) rmSync(path.join(root, 'npm', name), { recursive: true });
  for (const target of targets) {
    const folder = path.join(root, 'npm', target.name);
    mkdirSync(folder, { recursive: true });
    for (const [name, text] of texts(target)) writeFileSync(path.join(folder, name), text);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = readArguments({ options: { check: { type: 'boolean', default: false } } });
  if (values.check) {
    const files = stale();
    if (files.length > 0) console.error(`not what package.json and Cargo.lock give: ${files.join(', ')}; run: node scripts/packages.mjs`);
    process.exitCode = files.length > 0 ? 1 : 0;
  } else {
    write();
  }
}
