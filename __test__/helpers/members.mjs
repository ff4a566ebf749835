// Processes of a tree that record the signals that they get.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { file, folder, isAlive, shell, until } from './programs.mjs';

/** Takes a lock, and on a stop signal releases it and writes a line. `sh member.sh NAME` runs it. */
const MEMBER = `
name=$1
trap 'rm -f "$DIR/$name.lock"; echo stopped >> "$DIR/$name.stopped"; exit 0' TERM
: > "$DIR/$name.lock"
echo $$ > "$DIR/$name.pid"
while :; do sleep 0.02; done
`;

/** A folder in which members leave their marks. */
export class Members {
  constructor(t) {
    // The survivors end before the folder with their ids is removed.
    t.after(() => this.#endSurvivors());
    this.dir = folder(t);
    file(this.dir, 'member.sh', MEMBER);
  }

  /** Returns a request for a shell line in which `$DIR` is the folder, and `$MEMBER` the command line of a member without its name. */
  shell(line, more) {
    return shell(line, { env: { DIR: this.dir, MEMBER: `sh ${this.path('member.sh')}` }, ...more });
  }

  path(name) {
    return path.join(this.dir, name);
  }

  /** Returns the text of a file, or nothing. */
  text(name) {
    return existsSync(this.path(name)) ? readFileSync(this.path(name), 'utf8') : '';
  }

  /** Waits for a file with a whole line in it. */
  written(name) {
    return until(() => this.text(name).endsWith('\n') && this.text(name), `${name} is written`, 30_000);
  }

  /** Waits until a process has written its id into `NAME.pid`. */
  async pid(name) {
    return Number(await this.written(`${name}.pid`));
  }

  #endSurvivors() {
    for (const name of ['a', 'b', 'c', 'd', 'helper', 'kept', 'kept-child', 'bound']) {
      const pid = Number(this.text(`${name}.pid`));
      if (pid > 1 && isAlive(pid)) process.kill(pid, 'SIGKILL');
    }
  }
}

/** A `killed.mechanism` without how the kill was done: that depends on the host, and on whether a shell started another `sleep` meanwhile. */
export const withoutMeans = (mechanism) =>
  mechanism
    .replace(/(^|, then )SIGSTOP to the members, as new ones appeared/, '')
    .replace(/^, then /, '')
    .replace(/, by cgroup\.kill$/, '');
