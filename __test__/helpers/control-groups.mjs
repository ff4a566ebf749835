// Control groups of version 2, as this process sees them.
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import path from 'node:path';

/** Returns the folder of this process in the version 2 hierarchy, if there is one. */
export function groupOfThisProcess() {
  if (process.platform !== 'linux') return undefined;
  const mount = /^(?:\S+ ){3}(\S+) (\S+) .* - cgroup2 /m.exec(readFileSync('/proc/self/mountinfo', 'utf8'));
  const own = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'));
  return mount && own ? path.join(mount[2], path.relative(mount[1], own[1])) : undefined;
}

/** Returns the groups of this host. Hosts in other process id namespaces may have the same process id, and groups beside these. */
export function groupsOfThisHost() {
  const namespace = /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0];
  return readdirSync(groupOfThisProcess()).filter((name) => name === `escher-${namespace}-${process.pid}`);
}
