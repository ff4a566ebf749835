// A host that runs commands, and lets `perf` look while it does: `node profiled.mjs CONTROL COUNT PARALLEL`.
import { writeFileSync } from 'node:fs';

import { repeat } from '../harness/observe.mjs';
import { open } from './runners.mjs';
import { program } from './short-commands.mjs';

const [control, count, parallel] = process.argv.slice(2);
const { one, close } = await open.engine(program, Number(parallel));
// These runs let V8 compile its code, as in the row.
await repeat(Number(count), Number(parallel), one);
writeFileSync(control, 'enable\n');
await repeat(Number(count), Number(parallel), one);
writeFileSync(control, 'disable\n');
console.log(process.pid);
await close();
