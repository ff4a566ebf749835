// Published results as a picture: a group of bars for each of some rows, relative to the best of the group.
import { number } from './report.mjs';

const ROWS = ['short-commands', 'short-commands-host-2g', 'short-commands-1', 'million-lines', 'million-lines-await', 'captured'];

const WIDTH = 860;
const MARGIN = 20;
const NAMES = 170;
/** Room for the longest value, right of the longest bar. */
const VALUES = 150;
const HEAD = 64;
const GROUP = 34;
const BAR = 18;
const GAP = 14;
/** The least width of a bar: narrower bars could not be seen. */
const LEAST_BAR = 2;

// The picture brings its own background: a page may be dark while the system is light, and the other way round.
const STYLE = `
  .page { fill: #ffffff; stroke: #d0d7de; }
  text { fill: #1f2328; }
  .faint { fill: #59636e; }
  .engine { fill: #1f6feb; }
  .peer { fill: #8c959f; }
  .limit { fill: #2da44e; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; stroke: #30363d; }
    text { fill: #e6edf3; }
    .faint { fill: #9198a1; }
    .engine { fill: #58a6ff; }
    .peer { fill: #6e7681; }
    .limit { fill: #3fb950; }
  }`;

export function drawChart(rows) {
  const groups = ROWS.map((name) => rows.find((row) => row.name === name))
    .filter(Boolean)
    .map(group);
  const parts = [];
  let y = HEAD;
  for (const { title, note, bars } of groups) {
    parts.push(
      `<text x="${MARGIN}" y="${y + 18}" font-weight="600">${escapeXml(title)} <tspan class="faint" font-weight="400">${escapeXml(note)}</tspan></text>`,
    );
    y += GROUP;
    for (const bar of bars) {
      parts.push(drawBar(bar, y));
      y += BAR;
    }
    y += GAP;
  }
  const height = y + MARGIN - GAP;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="title desc" font-family="system-ui, 'DejaVu Sans', sans-serif" font-size="12">
<title id="title">How fast this engine and its peers are</title>
<desc id="desc">${escapeXml(groups.map(inWords).join(' ') || 'Nothing is measured yet.')}</desc>
<style>${STYLE}
</style>
<rect class="page" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="6"/>
<text x="${MARGIN}" y="30" font-size="16" font-weight="600">This engine and its peers</text>
<text class="faint" x="${MARGIN}" y="50">Longer is better. Each bar is relative to the best of its group.</text>
${parts.join('\n')}
</svg>
`;
}

/** Draws the bars of a row; 1 is its best. */
function group({ title, unit, better, contenders }) {
  const values = Object.entries(contenders).map(([name, { median }]) => [name, median]);
  const best = Math[better === 'higher' ? 'max' : 'min'](...values.map(([, value]) => value));
  const bars = values.map(([name, value]) => ({
    name,
    part: better === 'higher' ? value / best : best / value,
    text: `${number(value)} ${unit}`,
    kind: /^engine\b/.test(name) ? 'engine' : /^limit\b/.test(name) ? 'limit' : 'peer',
  }));
  return { title: title.replaceAll('`', ''), note: `in ${unit}`, bars };
}

function drawBar({ name, part, text, kind }, y) {
  const left = MARGIN + NAMES;
  const width = Math.max(LEAST_BAR, part * (WIDTH - left - VALUES - MARGIN));
  const middle = y + BAR / 2 + 4;
  return [
    `<text x="${left - 8}" y="${middle}" text-anchor="end">${escapeXml(name)}</text>`,
    `<rect class="${kind}" x="${left}" y="${y + 2}" width="${width.toFixed(1)}" height="${BAR - 4}" rx="2"/>`,
    `<text class="faint" x="${(left + width + 6).toFixed(1)}" y="${middle}">${escapeXml(text)}</text>`,
  ].join('');
}

function inWords({ title, bars }) {
  return `${title}: ${bars.map(({ name, text }) => `${name} ${text}`).join(', ')}.`;
}

function escapeXml(text) {
  const entities = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  // Control characters have no place in XML, escaped or not.
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, '\ufffd').replace(/[&<>"']/g, (letter) => entities[letter]);
}
