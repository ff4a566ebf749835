// Whether the system shows what a process waits for.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

import { until } from './programs.mjs';

/** The number of the system call `read`, by processor. */
const READ = { x64: '0', arm64: '63' }[process.arch];

const EMULATED = 'this processor is emulated: the system shows the calls of another one';

/** Why no `waiting` is emitted here; `false` where it is. An emulator makes the calls of another processor. */
export const NO_WAITS = await reasonForNoWaits();

/** Why the system does not show a program as it was started, but the emulator that runs it; `false` where it does. */
export const NO_OWN_IMAGE = NO_WAITS === EMULATED && 'this processor is emulated: the system shows the emulator';

async function reasonForNoWaits() {
  if (process.platform !== 'linux') return 'the system does not show what a process waits for';
  // A shell reads its lines by `read` everywhere; `cat` of busybox has another call.
  const reader = spawn('sh', { stdio: ['pipe', 'ignore', 'ignore'] });
  try {
    const call = () => {
      const [number, descriptor] = readFileSync(`/proc/${reader.pid}/syscall`, 'utf8').split(' ');
      return descriptor === '0x0' && number;
    };
    if (!canRead(`/proc/${reader.pid}/syscall`)) return 'the system does not show what a process waits for';
    const number = await until(call, 'a shell reads its input');
    return number !== READ && EMULATED;
  } finally {
    reader.kill('SIGKILL');
  }
}

function canRead(file) {
  try {
    return readFileSync(file).length > 0;
  } catch {
    return false;
  }
}
