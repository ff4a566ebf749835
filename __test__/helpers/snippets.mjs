// The documentation as data: its code blocks, its links, its tables, and what index.d.ts promises.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
/** Programs that stand in for those that a machine may not have; they come first on the `PATH` of a block. */
const TOOLS = path.join(root, '__test__', 'helpers', 'tools');
const TSC = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
const COMPILER = `@typescript/typescript-${process.platform}-${process.arch}`;
/** Why types cannot be checked here; `false` where they can. The compiler is a program of its own for each platform. */
export const NO_COMPILER = !existsSync(path.join(root, 'node_modules', COMPILER)) && `${COMPILER} is not installed`;

/** The extensions of the files for blocks; `.mts` and `.mjs` may await at the top. */
const EXTENSIONS = { js: '.mjs', mjs: '.mjs', cjs: '.cjs', ts: '.mts' };

/** Returns every page: its path in the project and its text. */
export function pages() {
  const docs = readdirSync(path.join(root, 'docs')).filter((name) => name.endsWith('.md'));
  const names = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...docs.sort().map((name) => `docs/${name}`)];
  return names.map((name) => ({ name, text: readFileSync(path.join(root, name), 'utf8') }));
}

/** Returns the records of decisions, which pages link to. */
export function decisions() {
  const names = readdirSync(path.join(root, 'docs', 'decisions')).sort();
  return names.map((name) => ({ name: `docs/decisions/${name}`, text: readFileSync(path.join(root, 'docs', 'decisions', name), 'utf8') }));
}

/** Returns one page. */
export const page = (name) => pages().find((one) => one.name === name);

/** Returns the fenced blocks of a page. A `text` block right after a block of code is what that block prints: its `output`. */
export function blocks({ name, text }) {
  const found = [];
  let open;
  let last;
  for (const [index, line] of text.split('\n').entries()) {
    if (open && line === '```') {
      if (open.language === 'text' && last && last.output === undefined) last.output = open.code;
      else found.push(open);
      last = open.language in EXTENSIONS ? open : undefined;
      open = undefined;
    } else if (open) {
      open.code += `${line}\n`;
    } else if (line.startsWith('```')) {
      open = { at: `${name}:${index + 1}`, language: line.slice(3), code: '', output: undefined };
    } else if (line.trim() !== '') {
      last = undefined;
    }
  }
  if (open) throw new Error(`the block at ${open.at} has no end`);
  return found;
}

/** The blocks that Node.js runs, in a folder where the package's name leads to this project. */
export class Workshop {
  #folder = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'engine-docs-')));
  #files = new Map();

  constructor() {
    const scope = path.join(this.#folder, 'node_modules', '@escher');
    mkdirSync(scope, { recursive: true });
    symlinkSync(root, path.join(scope, 'execution-engine'), 'dir');
    // The pages about moving from another package show the use of execa as "before".
    symlinkSync(path.join(root, 'node_modules', 'execa'), path.join(this.#folder, 'node_modules', 'execa'), 'dir');
  }

  /** Whether a block is one of these. */
  static takes({ language }) {
    return language in EXTENSIONS;
  }

  /** Writes a block down, in a folder of its own that it may use. */
  add({ at, language, code }) {
    const name = at.replace(/[^\w]+/g, '-');
    mkdirSync(path.join(this.#folder, name));
    const file = path.join(name, `snippet${EXTENSIONS[language]}`);
    writeFileSync(path.join(this.#folder, file), code);
    this.#files.set(at, file);
  }

  /** Checks the types of all blocks at once, and makes JavaScript of those in TypeScript. Gives what tsc says. */
  async compile() {
    const options = {
      strict: true,
      // A caught value in an example is an error, and JavaScript has no words for the types of parameters.
      useUnknownInCatchVariables: false,
      noImplicitAny: false,
      allowJs: true,
      checkJs: true,
      target: 'es2022',
      lib: ['es2022', 'esnext.disposable'],
      module: 'nodenext',
      types: ['node'],
      typeRoots: [path.join(root, 'node_modules', '@types')],
      skipLibCheck: true,
      outDir: 'compiled',
      rootDir: '.',
    };
    writeFileSync(path.join(this.#folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: [...this.#files.values()] }));
    const { stdout, stderr } = await this.#node([TSC, '-p', '.'], this.#folder);
    let said = stdout + stderr;
    for (const [at, file] of this.#files) said = said.replaceAll(file, `${at} (+ line)`);
    return said;
  }

  /** Runs a block to its end. `tools` is a folder with programs that it finds before those of the machine. */
  async run({ at, language }, tools = TOOLS) {
    const file = this.#files.get(at);
    const written = path.join(this.#folder, file);
    const run = language === 'ts' ? path.join(this.#folder, 'compiled', file.replace('.mts', '.mjs')) : written;
    return this.#node([run], path.dirname(written), { PATH: [tools, process.env.PATH].join(path.delimiter) });
  }

  /** Runs a file of the project. */
  runOwn(file, ...args) {
    return this.#node([path.join(root, file), ...args], root);
  }

  close() {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Returns the folder in which a block runs. */
  folderOf({ at }) {
    return path.dirname(path.join(this.#folder, this.#files.get(at)));
  }

  #node(args, cwd, env = {}) {
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, args, {
        cwd,
        stdio: ['ignore', 'pipe', 'pipe'],
        timeout: 60_000,
        env: { ...process.env, NODE_OPTIONS: '', ...env },
      });
      const said = { stdout: '', stderr: '' };
      for (const name of ['stdout', 'stderr']) child[name].setEncoding('utf8').on('data', (text) => (said[name] += text));
      child.on('error', reject);
      child.on('close', (code, signal) => resolve({ code, signal, ...said }));
    });
  }
}

/** Whether text is what a page shows. `…` stands for what differs from run to run, within a line. */
export function isShown(shown, text) {
  const pattern = shown
    .trimEnd()
    .split('…')
    .map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
    .join('[^\\n]*');
  return new RegExp(`^${pattern}$`).test(text.trimEnd());
}

/** The commands of a shell block. */
export const commands = ({ code }) =>
  code
    .split(/\n|&&/)
    .map((part) => part.replace(/#.*$/, '').trim())
    .filter(Boolean);

/** Returns the links of a page that lead to files of the project: the written text, the file, and the heading in it. */
export function links({ name, text }) {
  const found = [...withoutBlocks(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target);
  return found
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [file, anchor] = target.split('#');
      return { target, file: file === '' ? name : path.posix.join(path.posix.dirname(name), file), anchor };
    });
}

/** Returns the anchors of a page, as code hosts make them of headings. */
export function anchors({ text }) {
  const headings = withoutBlocks(text)
    .split('\n')
    .filter((line) => /^#+ /.test(line));
  return headings.map((line) =>
    line
      .replace(/^#+ /, '')
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  );
}

function withoutBlocks(text) {
  return text.replace(/^```[\s\S]*?^```$/gm, '');
}

/** Returns the table below a heading: each row by the names of its columns. */
export function table({ name, text }, heading) {
  const lines = text.split('\n');
  const at = lines.indexOf(heading);
  if (at < 0) throw new Error(`${name} has no heading ${heading}`);
  const start = lines.findIndex((line, index) => index > at && line.startsWith('|'));
  const rows = [];
  for (let index = start; lines[index]?.startsWith('|'); index += 1) rows.push(cells(lines[index]));
  const [names, , ...body] = rows;
  return body.map((row) => Object.fromEntries(names.map((column, index) => [column, row[index]])));
}

const cells = (line) =>
  line
    .split(/(?<!\\)\|/)
    .slice(1, -1)
    .map((cell) => cell.trim());

const promised = readFileSync(path.join(root, 'index.d.ts'), 'utf8');

/** Returns the names of an interface's fields, or of a class's public members. */
export function members(name) {
  const body = new RegExp(`(?:interface|class) ${name}\\b[^{]*\\{\\n([\\s\\S]*?)\\n\\}`).exec(promised)?.[1];
  if (body === undefined) throw new Error(`index.d.ts has no ${name}`);
  const found = [...body.matchAll(/^ {2}(?:static |readonly )*(\w+)\??\s*[:(<]/gm)].map(([, member]) => member);
  return [...new Set(found)].filter((member) => member !== 'constructor');
}

/** The names of all interfaces and types. */
export const typeNames = () => [...promised.matchAll(/^export (?:interface|type|class) (\w+)/gm)].map(([, name]) => name);

/** Returns the strings of a union type. */
export function union(name) {
  const body = new RegExp(`type ${name} =([^;]*);`).exec(promised)?.[1] ?? '';
  return [...body.matchAll(/'([^']+)'/g)].map(([, word]) => word);
}
