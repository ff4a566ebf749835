// Published results as Markdown: a few numbers for the front page, and all of them for docs/performance.md.
import { missedGoals } from './goals.mjs';
import { leadersOf } from './leads.mjs';
import { columnText, goalsText, intervalText, number, ratio, ratioName, roundsText } from './report.mjs';
import { runtimeName } from './runtimes.mjs';

/** The columns of the front page, and what the contender of each is called in a row: the first that is there. */
const COLUMNS = [
  ['this engine', ['engine']],
  ['`child_process`', ['child_process', 'readline', 'execFile']],
  ['execa', ['execa']],
  ['tinyexec', ['tinyexec']],
  ['`Bun.spawn`', ['Bun.spawn', 'Bun.spawn + split']],
  ['`Deno.Command`', ['Deno.Command', 'Deno.Command + split']],
  ['limit', ['limit']],
];

/** The lines of the table: a row of the benchmark, and one of the row's columns where it is not the value that is shown. */
const LINES = [
  ['short-commands', '`true`, 8 at a time, by a small host, commands/s'],
  ['short-commands', 'event-loop delay in the row above, p99, ms', 'loopP99Ms'],
  ['short-commands', 'processor time of the host for each command, µs', 'cpuMicros'],
  ['short-commands-1', '`true`, one at a time, by a small host, from call to result, ms'],
  ['short-commands-host-2g', '`true`, 8 at a time, by a host that holds 2 GiB, commands/s'],
  ['short-commands-host-2g', 'event-loop delay in the row above, p99, ms', 'loopP99Ms'],
  ['million-lines', '1 M lines (71 MB) to a listener, lines/s'],
  ['million-lines-await', '1 M lines (71 MB) to `for await`, lines/s'],
  ['captured', '71 MB as one text, ms'],
  ['many-line-writers', '100 children at once that write line by line, lines/s'],
  ['load-time', 'loading the package, ms'],
];

export function frontTable(rows) {
  const shown = LINES.flatMap(([name, label, key]) => {
    const row = rows.find((one) => one.name === name);
    return row ? [[label, ...COLUMNS.map(([, names]) => frontCell(row, names, key))]] : [];
  });
  const used = rows.filter(({ name }) => LINES.some(([line]) => line === name));
  const machines = [...new Set(used.map(shortMachine))];
  const elsewhere = used.flatMap(({ machine, peers }) =>
    peers.filter((peer) => peer.package && peer.runtime !== 'node').map((peer) => ` ${peerText(machine, peer)}, which it needs.`),
  );
  return `Medians, ${machines.join('; ') || 'not measured yet'}.${[...new Set(elsewhere)].join('')} [docs/performance.md](docs/performance.md) has every row with its spread, goals,
rounds and date. "Limit" is a native loop of \`posix_spawn\`, read and wait in the same run.

${table(['', ...COLUMNS.map(([title]) => title)], shown)}

![The same results as bars, relative to the best of each group](docs/performance.svg)
`;
}

function frontCell(row, names, key) {
  const name = names.find((one) => one in row.contenders);
  if (!name) return '';
  const { median, columns } = row.contenders[name];
  const column = row.columns.find((one) => one.key === key);
  if (key && !(key in columns)) return '';
  const text = column ? columnText(column, columns) : number(median);
  return name === names[0] || column ? text : `${text} (${by(name)})`;
}

/** The name of a contender that is not the usual one of its column. */
const by = (name) => (name.endsWith(' + split') ? 'split by hand' : `\`${name}\``);

export function performanceTables(rows) {
  if (rows.length === 0) return 'Nothing is measured yet.\n';
  return rows.map(section).join('\n');
}

/** Returns the table of missed goals, with the measured values. */
export function missedTable(rows) {
  const lines = missedGoals(rows).map(({ row, text, measured, interval }) => [
    `\`${row}\``,
    cell(text),
    interval ? `${ratio(measured)} (${intervalText(interval)})` : number(measured),
  ]);
  return lines.length > 0 ? table(['row', 'goal', 'measured'], lines) : 'None is missed.';
}

/** Returns where the time is spent: one section for each profile. */
export function profileTables(profiles) {
  const sections = profiles.map(({ title, columns, lines, machine }) => {
    const text = (line) => line.map(cell);
    return `${upper(title)}:\n\n${table(columns, lines.map(text))}\n\n${machineText(machine)}.\n`;
  });
  return sections.join('\n') || 'Nothing was profiled yet.\n';
}

function section(row) {
  const lines = Object.entries(row.contenders).map(([name, { median, min, max, columns }]) => [
    cell(name),
    number(median),
    `${number(min)} – ${number(max)}`,
    ...row.columns.map((column) => columnText(column, columns)),
  ]);
  const ratios = row.ratios.map((one) => [cell(ratioName(row, one)), ratio(one.median), intervalText(one), one.goal ?? '']);
  const parts = [
    `### ${row.name}`,
    `${upper(row.title)}. In ${row.unit}, ${row.better} is better.`,
    table([row.unit, 'median', 'min – max', ...row.columns.map(({ title }) => title)], lines),
    ratios.length > 0 ? table(['ratio', 'median', '95 % interval', 'goal'], ratios) : '',
    row.bound ? `No peer does this. It is bound by ${row.bound}.` : '',
    ...leads(row),
    row.goals.length > 0 ? `Goals: ${goalsText(row.goals)}.` : '',
    ...row.failed.map(({ name, why }) => `${cell(name)} fails: \`${why}\`.`),
    ...row.skipped.map(({ name, why }) => `${cell(name)} was not measured: ${why}.`),
    lacksIntervals(row) ? 'Its intervals are not known: it was measured before they were recorded.' : '',
    `${roundsText(row.rounds)}, ${longMachine(row)}.`,
  ];
  return `${parts.filter(Boolean).join('\n\n')}\n`;
}

const lacksIntervals = ({ rounds, ratios }) => rounds > 1 && ratios.some(({ low }) => low === undefined);

/** Returns a text for each reason why peers lead a row. */
function leads(row) {
  const whyOf = (name) => row.ahead?.[name] ?? 'not known';
  const leaders = leadersOf(row);
  const reasons = [...new Set(leaders.map(whyOf))];
  return reasons.map((why) => {
    const names = leaders.filter((name) => whyOf(name) === why);
    return `Ahead of the engine: ${names.map(cell).join(', ')}. Why: ${why}.`;
  });
}

/** Returns the rounds, the date and the machine, and whether other work ran on it. */
function shortMachine({ machine, rounds }) {
  const busy = machine.loadBefore > machine.cores / 2 ? ' (other work was running)' : '';
  return `${roundsText(rounds)} on ${day(machine)} with Node.js ${machine.node.replace(/^v/, '')} on ${machine.cores} × ${machine.cpu}${busy}`;
}

function longMachine({ machine, peers }) {
  return [machineText(machine), ...peers.map((peer) => peerText(machine, peer))].join(', ');
}

/** Returns a package with its version, and with its runtime where that is another than that of the engine; or a runtime. */
function peerText({ peers, runtimes }, { package: name, runtime }) {
  const place = `${runtimeName(runtime)} ${runtimes[runtime]}`;
  if (!name) return place;
  const text = `${name.replace(/-\d+$/, '')} ${peers[name]}`;
  return runtime === 'node' ? text : `${text} in ${place}`;
}

function machineText(machine) {
  return [
    day(machine),
    `${machine.cores} × ${machine.cpu}`,
    `${Math.round(machine.memoryMiB / 1024)} GiB`,
    machine.os,
    `load ${machine.loadBefore.toFixed(1)} before`,
    `Node.js ${machine.node.replace(/^v/, '')}`,
  ].join(', ');
}

/** A title begins a sentence, unless it begins with the name of a program. */
const upper = (title) => (/^(true\b|\w+\()/.test(title) ? title : title[0].toUpperCase() + title.slice(1));

const day = ({ date }) => date.slice(0, 10);

const cell = (text) => text.replaceAll('|', '\\|');

function table(head, lines) {
  const line = (cells) => `| ${cells.join(' | ')} |`.replaceAll('|  |', '| |').replaceAll('|  |', '| |');
  return [line(head), `| --- |${' ---: |'.repeat(head.length - 1)}`, ...lines.map(line)].join('\n');
}
