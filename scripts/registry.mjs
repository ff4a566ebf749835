// A registry that has the packages of this project alone, for tests: `node scripts/registry.mjs STAGED TARBALLS` prints its address.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { readArguments } from './arguments.mjs';
import { main, packageName, targets } from './packages.mjs';

const { positionals } = readArguments({ words: { name: 'folder (STAGED, then TARBALLS)', least: 2, most: 2 } });
const [staged, tarballs] = positionals;
const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

const fileOf = (name) => `${name.replace('@', '').replace('/', '-')}-${main.version}.tgz`;

/** Returns the registry's document of a package. */
function packument(name, host) {
  const target = targets.find((one) => packageName(one) === name);
  const folder = target ? path.join(root, 'npm', target.name) : path.join(staged, 'main');
  const manifest = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
  const file = path.join(tarballs, fileOf(name));
  const content = existsSync(file) ? readFileSync(file) : Buffer.alloc(0);
  const dist = {
    tarball: `http://${host}/tarballs/${fileOf(name)}`,
    shasum: createHash('sha1').update(content).digest('hex'),
    integrity: `sha512-${createHash('sha512').update(content).digest('base64')}`,
  };
  return {
    _id: name,
    name,
    'dist-tags': { latest: main.version },
    versions: { [main.version]: { ...manifest, _id: `${name}@${main.version}`, dist } },
    time: { [main.version]: '2026-01-01T00:00:00.000Z' },
  };
}

const server = createServer((request, response) => {
  const address = decodeURIComponent(request.url ?? '/')
    .slice(1)
    .replace(/\?.*$/, '');
  const name = [main.name, ...targets.map(packageName)].find((one) => address === one);
  const file = address.startsWith('tarballs/') ? path.join(tarballs, path.basename(address)) : undefined;
  if (name) return response.setHeader('content-type', 'application/json').end(JSON.stringify(packument(name, request.headers.host)));
  if (file && existsSync(file)) return response.end(readFileSync(file));
  response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":"not found"}');
});
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
