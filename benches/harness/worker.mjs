// One measurement: its job is the argument, its result goes to standard output as JSON.
import { loadRow } from './rows.mjs';

const { row: name, contender, data, limit } = JSON.parse(process.argv[2]);
const row = await loadRow(name);
const result = await row.run(contender, { data, limit });
const { value, columns = {} } = typeof result === 'number' ? { value: result } : result;
if (!Number.isFinite(value) || value <= 0) throw new Error(`${name} gave ${value} for ${contender}`);
process.stdout.write(JSON.stringify({ value, columns }));
