// Results as tables for a terminal.

export function printList(rows) {
  print(
    rows.map((row) => [row.name, row.heavy ? 'heavy' : '', `${row.title} (${row.unit})`]),
    'lll',
  );
}

export function printProfile({ name, title, columns, lines }) {
  console.log(`\n${name}: ${title}\n`);
  const isNumber = columns.map((_, column) => lines.every((line) => /^[\d.]*$/.test(line[column])));
  print([columns, ...lines], isNumber.map((is) => (is ? 'r' : 'l')).join(''));
}

export function printRow(row) {
  console.log(`\n${row.name}: ${row.title}`);
  console.log(`${row.unit}, ${row.better} is better; ${roundsText(row.rounds)}\n`);
  const titles = ['contender', 'median', 'min – max', ...row.columns.map(({ title }) => title)];
  const lines = Object.entries(row.contenders).map(([name, { median, min, max, columns }]) => [
    name,
    number(median),
    `${number(min)} – ${number(max)}`,
    ...row.columns.map((column) => columnText(column, columns)),
  ]);
  print([titles, ...lines], `l${'r'.repeat(titles.length - 1)}`);
  for (const { name, why } of row.skipped) console.log(`  ${name}: SKIPPED, ${why}`);
  for (const { name, why, isFinding } of row.failed) console.log(`  ${name}: ${isFinding ? 'fails' : 'FAILED'}, ${why}`);
  if (row.ratios.length > 0) {
    console.log('');
    const ratios = row.ratios.map((one) => [ratioName(row, one), ratio(one.median), intervalText(one), one.goal ?? '']);
    print([['ratio', 'median', '95 % interval', 'goal'], ...ratios], 'lrrl');
  }
  if (row.bound) console.log(`  no peer; bound by ${row.bound}`);
  if (row.goals.length > 0) console.log(`  goals: ${goalsText(row.goals)}`);
}

/** Returns a number with three significant digits at least, and no more than are useful. */
export function number(value) {
  if (value >= 1000) return Math.round(value).toLocaleString('en').replaceAll(',', ' ');
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 3);
}

/** Returns the text of one of the row's columns for a contender. */
export function columnText({ key, digits }, columns) {
  if (!(key in columns)) return '–';
  return columns[key] >= 1000 ? number(columns[key]) : columns[key].toFixed(digits);
}

export const goalsText = (goals) => goals.map(({ text }) => text).join('; ');

export const roundsText = (rounds) => `${rounds} ${rounds === 1 ? 'round' : 'rounds'}`;

export function ratio(value) {
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2);
}

/** Returns the two contenders of a ratio, and its column where it is not that of the values. */
export function ratioName({ columns }, { of, to, key }) {
  return `${of} / ${to}${key ? `, ${columns.find((column) => column.key === key).title}` : ''}`;
}

/** Returns the text of an interval; one round has none. */
export const intervalText = ({ low, high }) => (low === undefined ? '–' : `${ratio(low)} – ${ratio(high)}`);

/** @param alignment one letter a column: l or r. */
function print(lines, alignment) {
  const widths = [...alignment].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  for (const line of lines) {
    const cells = line.map((cell, column) => (alignment[column] === 'l' ? cell.padEnd(widths[column]) : cell.padStart(widths[column])));
    console.log(`  ${cells.join('   ')}`.trimEnd());
  }
}
