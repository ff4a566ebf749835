// Compares the counts before and after a change: a function of numbers alone.

/**
 * A count may grow by a tenth: more has to be an intended change. Counts that depend on which thread is faster may vary more.
 *
 * @typedef {object} Count
 * @property {string} name
 * @property {string} title
 * @property {number} [tolerance] A part of the baseline; 0.1 when it is not given.
 *
 * @typedef {'same' | 'grew' | 'shrank' | 'vanished' | 'new' | 'gone' | 'skipped'} Verdict
 */

const TOLERANCE = 0.1;
/** The least difference: counts are printed, and stored, in hundredths. */
const LEAST = 0.01;

/**
 * Compares what was measured with the baseline.
 *
 * @param {readonly Count[]} counts All that there are.
 * @param {Readonly<Record<string, number>>} baseline
 * @param {Readonly<Record<string, number>>} measured
 * @param {readonly string[]} [skipped] Names of counts that cannot be measured here.
 * @returns {{ name: string, title: string, was?: number, is?: number, change?: number, verdict: Verdict }[]}
 */
export function compare(counts, baseline, measured, skipped = []) {
  const known = new Set(counts.map(({ name }) => name));
  const rows = counts.map(({ name, title, tolerance = TOLERANCE }) => {
    const [was, is] = [baseline[name], measured[name]];
    if (skipped.includes(name)) return { name, title, was, verdict: /** @type {const} */ ('skipped') };
    if (!Number.isFinite(is)) throw new Error(`${name} was not measured`);
    if (was === undefined) return { name, title, is, verdict: /** @type {const} */ ('new') };
    if (!Number.isFinite(was)) throw new Error(`the baseline of ${name} is no number`);
    return { name, title, was, is, change: was === 0 ? undefined : is / was - 1, verdict: judge(was, is, tolerance) };
  });
  const gone = Object.keys(baseline).filter((name) => !known.has(name));
  return [...rows, ...gone.map((name) => ({ name, title: name, was: baseline[name], verdict: /** @type {const} */ ('gone') }))];
}

/** @param {number} was @param {number} is @param {number} tolerance @returns {Verdict} */
function judge(was, is, tolerance) {
  const slack = Math.max(was * tolerance, LEAST);
  // The results of divisions are not exact: a tenth is still a tenth.
  const beyond = Math.abs(is - was) > slack * (1 + 1e-9);
  if (!beyond) return 'same';
  // What is done at least once in each unit cannot cost nothing: the count is wrong.
  if (was >= 1 && is < LEAST) return 'vanished';
  return is > was ? 'grew' : 'shrank';
}

/** Whether nothing stands against the change: fewer is welcome, and what could not be counted is no reason to stop. @param {{ verdict: Verdict }[]} rows */
export function isFine(rows) {
  return rows.every(({ verdict }) => ['same', 'shrank', 'skipped'].includes(verdict));
}

/** Returns the rows that are to be reported, in a sentence each. @param {ReturnType<typeof compare>} rows */
export function remarks(rows) {
  return rows.flatMap(({ name, title, was, is, change, verdict }) => {
    const percent = change === undefined ? '' : ` (${change > 0 ? '+' : ''}${(change * 100).toFixed(1)} %)`;
    switch (verdict) {
      case 'grew':
        return [`${name}: ${title}: was ${was}, is ${is}${percent}: find out why`];
      case 'shrank':
        return [`${name}: ${title}: was ${was}, is ${is}${percent}: keep it by writing the baseline anew`];
      case 'vanished':
        return [`${name}: ${title}: was ${was}, is ${is}: is it still counted?`];
      case 'new':
        return [`${name}: ${title}: is ${is}, and the baseline does not know it: write it anew`];
      case 'gone':
        return [`${name}: the baseline has it, and it is no longer counted: write it anew`];
      default:
        return [];
    }
  });
}
