// Reads from the output of test runners how many tests ran.

/**
 * Returns how many tests ran, by the summary of `cargo test` or of the `spec` reporter of Node.js.
 *
 * @param {string} text
 */
export function countsIn(text) {
  const ofCargo = /^test result: \w+\. (?<passed>\d+) passed; (?<failed>\d+) failed; (?<skipped>\d+) ignored/m.exec(text)?.groups;
  const ofNode = (word) => new RegExp(`^ℹ ${word} (\\d+)`, 'm').exec(text)?.[1] ?? 0;
  const counts = ofCargo ?? { passed: ofNode('pass'), failed: ofNode('fail'), skipped: ofNode('skipped') };
  return Object.fromEntries(Object.entries(counts).map(([outcome, count]) => [outcome, Number(count)]));
}

/** Returns the tests that were skipped, with their reasons, as the `spec` reporter prints them. @param {string} text */
export function skipsIn(text) {
  return [...new Set([...text.matchAll(/^\s*﹣ (.+?)(?: \([\d.]+ms\))? # (.+)$/gm)].map(([, name, why]) => `${name}: ${why}`))];
}

/**
 * Returns how a process that `spawnSync` ran has ended, in words. Empty: with exit code 0.
 *
 * @param {Pick<import('node:child_process').SpawnSyncReturns<unknown>, 'status' | 'signal' | 'error'>} ended
 */
export function endOf({ status, signal, error }) {
  if (/** @type {NodeJS.ErrnoException} */ (error)?.code === 'ETIMEDOUT') return 'stopped at its time limit';
  if (error) return error.message;
  return status === 0 ? '' : (signal ?? `exit code ${status}`);
}
