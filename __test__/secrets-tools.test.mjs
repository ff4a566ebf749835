// Secrets are masked as the tools themselves encode and quote them.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';

import { newEngine } from './helpers/engine.mjs';
import { hasBusybox } from './helpers/programs.mjs';

const has = (tool) => spawnSync(tool, ['--version']).error === undefined;
/** A line for each encoding; `$S` is the secret. The names of tools come first. */
const ENCODINGS = [
  ['sh', 'export -p | grep -A9 "S="'],
  ['sh', 'set | grep -A9 "^S="'],
  ['dash', 'dash -c "export -p" | grep -A9 "S="'],
  ['dash', 'dash -c set | grep -A9 "^S="'],
  ['dash', 'dash -xc ": \\"\\$S\\"" 2>&1'],
  ['bash', 'bash -c "export -p" | grep -A9 "S="'],
  ['bash', 'bash -c "declare -p S"'],
  ['bash', 'bash -c "set" | grep -A9 "^S="'],
  ['bash', 'bash -c \'printf "%q\\n" "$S"\''],
  ['bash', 'bash -c \'echo "${S@Q}"\''],
  ['bash', 'bash -xc \': "$S"\' 2>&1'],
  ['bash', 'bash -c \'a=("$S"); declare -p a\''],
  ['zsh', 'zsh -c "export -p" | grep -A9 "S="'],
  ['zsh', "zsh -c 'print -r -- ${(q)S} ${(qq)S} ${(qqq)S} ${(qqqq)S}'"],
  ['zsh', "LC_ALL=C zsh -c 'print -r -- ${(q)S} ${(qqqq)S}'"],
  ...(hasBusybox ? [] : [['env', 'env printf "%q\\n" "$S"']]),
  ['base64', 'printf %s "$S" | base64'],
  ['base64', 'printf "x%s" "$S" | base64 -w 64'],
  ['base64', 'printf "xy%s and more" "$S" | base64 -w 0'],
  ['base64', 'printf "user:%s\\n" "$S" | base64 -w 7 | sed "s/$/\\r/"'],
  ['openssl', 'printf %s "$S" | openssl base64'],
  ['od', 'printf %s "$S" | od -An -tx1'],
  ['xxd', 'printf %s "$S" | xxd -p'],
  // Busybox has no capital digits.
  ['xxd', `printf %s "$S" | xxd -p ${hasBusybox ? '' : '-u'} -c 7`],
  ['xxd', 'printf %s "$S" | xxd -i'],
  ['jq', 'jq -n "env.S"'],
  ['jq', 'jq -na "env.S"'],
  ['jq', 'jq -nr "env.S | @uri, @sh, @base64, @html, @csv \\"\\([.])\\""'],
  ['node', `node -p 'JSON.stringify(process.env.S); '`],
  [
    'node',
    `node -e 'const s = process.env.S; console.log([encodeURIComponent(s), new URLSearchParams({ s }), JSON.stringify({ s }).replaceAll("/", "\\\\/"), Buffer.from(s).toString("base64url"), Buffer.from("z" + s).toString("hex").toUpperCase()].join("\\n"))'`,
  ],
  [
    'node',
    `node -e 'console.log([process.env.S]); console.log("%" + [...Buffer.from(process.env.S)].map((byte) => byte.toString(16).padStart(2, "0")).join("%"))'`,
  ],
  [
    'python3',
    `python3 -c 'import os,json,shlex,urllib.parse as u,base64,html; s=os.environ["S"]; print(repr(s), ascii(s), s.encode(), json.dumps(s), json.dumps(s, ensure_ascii=False), shlex.quote(s), u.quote(s), u.quote(s, safe=""), u.quote_plus(s), html.escape(s), sep="\\n"); print(base64.encodebytes(s.encode()).decode(), s.encode().hex(":"), "".join("%02x%02X" % (c, c) for c in b"") )'`,
  ],
];

const ALPHABET = [
  ...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789',
  ...'\'"\\$`!*?[]{}()<>|&;#~ %+-_=/.,:@^öß€😀',
  '\n',
  '\t',
  ...'\u0001\u001b\u007f',
];
const pick = (list) => list[randomInt(list.length)];

/** Returns a secret whose parts are long enough to be recognised in the rest of the output. */
function randomSecret() {
  const inner = Array.from({ length: randomInt(6, 90) }, () => pick(ALPHABET)).join('');
  return `${pick('aQ$%"\'')}${inner}${pick('zZ9/"\'')}`;
}

/** Returns six letters or digits in a row that the secret has, in plain or any encoding that keeps letters. */
function remains(output, secret) {
  const words = secret.match(/[a-zA-Z0-9]{6,}/g) ?? [];
  const bytes = Buffer.from(secret);
  // A stretch from the middle of each encoding is used: the borders are shared with other text.
  const middle = (text) => text.slice(8, -8);
  const codes = [0, 1, 2].map((before) =>
    middle(
      Buffer.concat([Buffer.alloc(before), bytes])
        .toString('base64')
        .replace(/=+$/, ''),
    ),
  );
  const hex = middle(bytes.toString('hex'));
  const flat = output.replace(/[\s:]/g, '');
  const url = flat.replaceAll('-', '+').replaceAll('_', '/');
  return [
    ...words.filter((word) => output.includes(word)),
    ...codes.filter((code) => code.length > 5 && url.includes(code)),
    ...(hex.length > 5 && flat.toLowerCase().includes(hex) ? [hex] : []),
  ];
}

const names = [...new Set(ENCODINGS.map(([tool]) => tool))];
const missing = names
  .filter((tool) => tool !== 'sh' && tool !== 'dash' && !has(tool))
  .concat(spawnSync('dash', ['-c', ':']).error ? ['dash'] : []);
for (const tool of missing) console.log(`SKIPPED: encodings by ${tool}, which is not installed here`);

test('each tool, with random secrets', async (t) => {
  const engine = newEngine(t);
  const lines = ENCODINGS.filter(([tool]) => !missing.includes(tool));
  for (let round = 0; round < (process.env.CI ? 20 : 5); round++) {
    const secret = randomSecret();
    // Cut into random pieces: a pipe gives what one write had.
    const cutter = `const w = require('node:fs').writeSync; let all = []; process.stdin.on('data', (d) => all.push(d)).on('end', () => { const b = Buffer.concat(all); for (let at = 0; at < b.length; ) { const n = 1 + Math.floor(Math.random() * 40); w(1, b.subarray(at, at + n)); at += n; } })`;
    const script = lines.map(([, line], index) => `echo "<${index}>"; { ${line}; } 2>&1`).join('\n');
    const request = { command: { type: 'shell', command: `{ ${script}\n} | node -e "$CUT"` }, env: { S: secret, CUT: cutter } };
    const { stdout } = await engine.run(request, { secrets: [secret] });
    const parts = stdout.split(/<\d+>\n/).slice(1);
    assert.equal(parts.length, lines.length);
    for (const [index, part] of parts.entries()) {
      const where = `${JSON.stringify(secret)} by ${lines[index][1]}: ${part}`;
      assert.ok(part.includes('***'), where);
      assert.deepEqual(remains(part, secret), [], where);
    }
  }
});

test('a key of 100 KB, whole and by its lines', async (t) => {
  const engine = newEngine(t);
  const body = Array.from({ length: 1500 }, () => Array.from({ length: 64 }, () => pick(ALPHABET.slice(0, 62))).join(''));
  const key = ['-----BEGIN PRIVATE KEY-----', ...body, '-----END PRIVATE KEY-----', ''].join('\n');
  const lines = ['cat', 'sed "s/^/    /"', 'base64', 'xxd -p', 'jq -Rs .', 'jq -Rsr @uri', 'tac', 'cut -c 1-64 | shuf', 'sed "s/$/\\r/"'];
  for (const line of lines.filter((line) => has(line.split(' ', 1)[0]))) {
    const { stdout } = await engine.run({ command: { type: 'shell', command: line } }, { secrets: [key], stdin: key });
    assert.ok(stdout.includes('***'), line);
    assert.ok(!body.some((text) => stdout.includes(text)), line);
    assert.ok(stdout.length < 16_000, `${line}: ${stdout.length} characters are left`);
  }
});

test('a secret with backslashes, as echo prints it', async (t) => {
  const engine = newEngine(t);
  const shells = ['dash -c', 'bash -O xpg_echo -c', 'zsh -c', 'busybox sh -c'].filter(
    (shell) => has(shell.split(' ', 1)[0]) || shell.startsWith('dash'),
  );
  for (const shell of shells.filter((shell) => !missing.includes(shell.split(' ', 1)[0]))) {
    for (const secret of [
      'pass\\word\\there',
      'some\\nthing\\\\else',
      'octal\\0101\\060digits',
      'begin\\t\\tmiddle\\vend',
      'C:\\new\\tables',
    ]) {
      const { stdout } = await engine.run(
        { command: { type: 'shell', command: `${shell} 'echo "$S"'` }, env: { S: secret } },
        { secrets: [secret] },
      );
      assert.equal(stdout, '***\n', `${secret} by ${shell}`);
    }
  }
});
