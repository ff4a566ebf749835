'use strict';

const { timeline } = require('./timeline.js');

/** @typedef {import('../index.js').PlanExecutionResult} PlanExecutionResult */
/** @typedef {import('./timeline.js').Row} Row */

const WIDTH = 1000;
const NAMES = 230;
const NOTES = 190;
const MARGIN = 20;
const HEAD = 78;
const ROW = 28;
const BAR = 16;
const FOOT = 48;
const LONGEST_NAME = 32;
/** The least width of a bar: narrower bars could not be seen. */
const LEAST_BAR = 2;

const COLOURS = {
  completed: '#2f9e5b',
  failed: '#d64545',
  timeout: '#e08a1e',
  cancelled: '#8a6fc2',
  running: '#888888',
  skipped: '#9aa0a6',
};
const INK = '#1f2328';
const FAINT = '#6b7280';
const CRITICAL = '#1f4fd8';

/**
 * Draws a plan as a picture: one bar for each step.
 *
 * @param {PlanExecutionResult} plan
 * @returns {string} SVG text.
 */
function toSvg(plan) {
  const rows = timeline(plan);
  const height = HEAD + rows.length * ROW + FOOT;
  const [left, right] = [MARGIN + NAMES, WIDTH - MARGIN - NOTES];
  const end = Math.max(1, plan.totalDurationMs, ...rows.map((row) => row.end));
  const x = (/** @type {number} */ ms) => left + (ms / end) * (right - left);
  const y = (/** @type {number} */ index) => HEAD + index * ROW + ROW / 2;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, 'DejaVu Sans', sans-serif" font-size="12" fill="${INK}">`,
    `<title>${escapeXml(plan.description)}</title>`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    text(MARGIN, 28, cut(plan.description, 90), 'font-size="17" font-weight="600"'),
    text(MARGIN, 47, summary(plan), `fill="${FAINT}"`),
    ...axis(end, x, HEAD - 8, height - FOOT),
    ...links(rows, x, y),
    ...rows.flatMap((row, index) => bars(row, x, y(index), right)),
    ...legend(height - 18),
    '</svg>',
    '',
  ].join('\n');
}

/** @param {PlanExecutionResult} plan */
function summary({ status, totalDurationMs, stats }) {
  const counts = /** @type {const} */ (['completed', 'failed', 'timeout', 'cancelled', 'skipped'])
    .filter((key) => stats[key] > 0)
    .map((key) => `${stats[key]} ${key}`);
  const retries = stats.retries > 0 ? [`${stats.retries} ${stats.retries === 1 ? 'retry' : 'retries'}`] : [];
  return `${status} in ${duration(totalDurationMs)} · ${[`${stats.total} ${stats.total === 1 ? 'step' : 'steps'}`, ...counts, ...retries].join(', ')}`;
}

/**
 * @param {number} end
 * @param {(ms: number) => number} x
 * @param {number} top
 * @param {number} bottom
 */
function axis(end, x, top, bottom) {
  const step = niceStep(end);
  const lines = [];
  for (let at = 0; at <= end * 1.0001; at += step) {
    lines.push(`<line x1="${px(x(at))}" y1="${top}" x2="${px(x(at))}" y2="${bottom}" stroke="#e5e7eb"/>`);
    lines.push(text(x(at), top - 4, duration(at), `fill="${FAINT}" font-size="10" text-anchor="middle"`));
  }
  return lines;
}

/** Returns a distance of 1, 2 or 5 (times a power of ten) that divides the axis into eight parts at most. @param {number} end */
function niceStep(end) {
  const rough = end / 8;
  const power = 10 ** Math.floor(Math.log10(rough));
  return /** @type {number} */ ([1, 2, 5, 10].find((factor) => factor * power >= rough)) * power;
}

/**
 * Draws lines from the end of each dependency to the beginning of the step that waited for it.
 *
 * @param {Row[]} rows
 * @param {(ms: number) => number} x
 * @param {(index: number) => number} y
 */
function links(rows, x, y) {
  /** @type {string[]} */
  const faint = [];
  /** @type {string[]} */
  const marked = [];
  rows.forEach((row, index) => {
    const begin = row.phases[0]?.from;
    if (begin === undefined) return;
    const critical = lastOf(row.step.dependsOn.map((dependency) => rows[dependency]));
    for (const dependency of row.step.dependsOn) {
      const other = rows[dependency];
      if (!other || other.phases.length === 0) continue;
      const isCritical = row.isCritical && other === critical;
      const [fromX, fromY, toX, toY] = [x(other.end), y(dependency), x(begin), y(index)];
      const path = `M${px(fromX)} ${px(fromY)} H${px(Math.max(fromX, toX))} V${px(toY)}`;
      (isCritical ? marked : faint).push(
        `<path d="${path}" fill="none" stroke="${isCritical ? CRITICAL : '#c3c8d0'}" stroke-width="${isCritical ? 2 : 1}"/>`,
      );
    }
  });
  return [...faint, ...marked];
}

/** Returns the row that ended last. @param {(Row | undefined)[]} rows */
function lastOf(rows) {
  return rows.reduce((last, row) => (row && row.phases.length > 0 && (!last || row.end > last.end) ? row : last), undefined);
}

/**
 * @param {Row} row
 * @param {(ms: number) => number} x
 * @param {number} middle
 * @param {number} right
 */
function bars({ step, condition, phases, note, isCritical }, x, middle, right) {
  const top = middle - BAR / 2;
  const baseline = middle + 4;
  const inputs = (step.inputs ?? []).map(({ name, from }) => `; ${name} from step ${from}`).join('');
  const weight = isCritical ? `font-weight="600" fill="${CRITICAL}"` : '';
  const shapes = [
    `<g><title>${escapeXml(`${step.index} ${step.name}${condition}: ${note}${inputs}`)}</title>`,
    text(MARGIN, baseline, cut(`${step.index}  ${step.name}`, LONGEST_NAME - condition.length) + condition, weight),
  ];
  for (const { kind, from, to, attempt, outcome, status } of phases) {
    const [begin, width] = [x(from), Math.max(LEAST_BAR, x(to) - x(from))];
    const title = `<title>${escapeXml(`${step.name}, attempt ${attempt}: ${kind === 'running' ? outcome : kind} (${duration(to - from)})`)}</title>`;
    if (kind === 'running') {
      const edge = isCritical ? ` stroke="${CRITICAL}" stroke-width="2"` : '';
      shapes.push(
        `<rect x="${px(begin)}" y="${px(top)}" width="${px(width)}" height="${BAR}" rx="3" fill="${COLOURS[status]}"${edge}>${title}</rect>`,
      );
    } else if (kind === 'queued') {
      shapes.push(`<rect x="${px(begin)}" y="${px(middle - 3)}" width="${px(width)}" height="6" fill="#cfd4da">${title}</rect>`);
    } else {
      shapes.push(
        `<line x1="${px(begin)}" y1="${px(middle)}" x2="${px(begin + width)}" y2="${px(middle)}" stroke="${FAINT}" stroke-width="2" stroke-dasharray="2 3">${title}</line>`,
      );
    }
  }
  const isSkipped = phases.length === 0;
  const colour = step.status === 'completed' ? FAINT : COLOURS[step.status];
  const at = isSkipped ? x(0) + 6 : right + 12;
  shapes.push(
    text(
      at,
      baseline,
      isSkipped ? note : noteOf(note, phases),
      `fill="${isSkipped ? FAINT : colour}"${isSkipped ? ' font-style="italic"' : ''}`,
    ),
    '</g>',
  );
  return shapes;
}

/**
 * @param {string} note
 * @param {Row['phases']} phases
 */
function noteOf(note, phases) {
  const last = phases.at(-1);
  const ran = last ? duration(last.to - last.from) : '';
  return note === 'completed' ? ran : cut(note.replace(/^completed at/, `${ran} at`), 30);
}

/** @param {number} baseline */
function legend(baseline) {
  /** @type {{ label: string, shape: (at: number) => string }[]} */
  const items = /** @type {const} */ (['completed', 'failed', 'timeout', 'cancelled']).map((status) => ({
    label: status,
    shape: (at) => `<rect x="${at}" y="${baseline - 10}" width="18" height="11" rx="2" fill="${COLOURS[status]}"/>`,
  }));
  items.push({ label: 'queued', shape: (at) => `<rect x="${at}" y="${baseline - 7}" width="18" height="6" fill="#cfd4da"/>` });
  items.push({
    label: 'pause before a retry',
    shape: (at) =>
      `<line x1="${at}" y1="${baseline - 4}" x2="${at + 18}" y2="${baseline - 4}" stroke="${FAINT}" stroke-width="2" stroke-dasharray="2 3"/>`,
  });
  items.push({
    label: 'critical path',
    shape: (at) => `<rect x="${at}" y="${baseline - 10}" width="18" height="11" rx="2" fill="none" stroke="${CRITICAL}" stroke-width="2"/>`,
  });
  let at = MARGIN;
  return items.flatMap(({ label, shape }) => {
    const parts = [shape(at), text(at + 24, baseline, label, `fill="${FAINT}" font-size="11"`)];
    at += 48 + label.length * 6.6;
    return parts;
  });
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} content
 * @param {string} attributes
 */
function text(x, y, content, attributes) {
  return `<text x="${px(x)}" y="${px(y)}"${attributes && ' '}${attributes} xml:space="preserve">${escapeXml(content)}</text>`;
}

/** @param {number} value */
const px = (value) => String(Math.round(value * 100) / 100);

/** @param {number} ms */
function duration(ms) {
  if (ms >= 60_000) return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
  if (ms >= 1000) return `${Math.round(ms / 10) / 100} s`;
  return `${ms >= 10 ? Math.round(ms) : Math.round(ms * 10) / 10} ms`;
}

/**
 * @param {string} long
 * @param {number} most
 */
function cut(long, most) {
  const letters = [...long];
  return letters.length > most ? `${letters.slice(0, most - 1).join('')}…` : long;
}

/** Names come from outside: nothing in them may be markup, and XML cannot represent control characters. @param {string} raw */
function escapeXml(raw) {
  return raw
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/gu, '\ufffd')
    .replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

module.exports = { toSvg };
