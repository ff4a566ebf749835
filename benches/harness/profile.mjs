// Finds and makes the profiles: where the time of a row goes. Each file in profiles/ has one as its default export:
//
//   name, title, columns   what it is, for people
//   whyNot()               optional: null, or why it cannot be made here
//   needsLimit             optional: true without which `limit` may be missing
//   run(tools)             returns its lines: texts, one for each column. `tools` has the path of the `limit`, the number of `rounds`,
//                          and `inProcess`, which gives what `measure()` of the profile gives in a fresh process
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { describeMachine } from './machine.mjs';
import { HANGS_AFTER_MS } from './runner.mjs';

const folder = path.join(path.dirname(path.dirname(fileURLToPath(import.meta.url))), 'profiles');

/** Makes all of them, one after the other. */
export async function makeProfiles({ limit, rounds, say }) {
  const machine = describeMachine();
  const made = [];
  for (const file of readdirSync(folder)
    .filter((name) => name.endsWith('.mjs'))
    .sort()) {
    const url = pathToFileURL(path.join(folder, file)).href;
    const { default: profile } = await import(url);
    const why = profile.whyNot?.() ?? (profile.needsLimit ? limit.why : null);
    if (why) {
      say(`SKIPPED  ${profile.name}: ${why}`);
      continue;
    }
    say(`${profile.name} …`);
    const script = `import profile from ${JSON.stringify(url)}; console.log(JSON.stringify(await profile.measure()));`;
    const inProcess = () =>
      JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', timeout: HANGS_AFTER_MS }));
    const lines = await profile.run({ limit: limit.path, rounds, inProcess });
    made.push({ name: profile.name, title: profile.title, columns: profile.columns, lines, machine });
  }
  return made;
}
