import { most } from '../harness/goals.mjs';
import { sizeOfRecord } from '../workloads/records.mjs';

const needs = '@escher/execution-engine';

export default {
  name: 'record-size',
  title: 'memory of the host for each record that has no output',
  unit: 'bytes',
  better: 'lower',
  contenders: { 'never started': needs, 'has run': needs },
  bound: 'the data of a record: its ids, command, times and result are a few hundred bytes',
  goals: ['never started', 'has run'].map((of) => most(1536, 'bytes', { what: of, of })),
  columns: [
    { key: 'idleBytes', title: 'unused heap of V8 on top', digits: 0 },
    { key: 'records', title: 'records', digits: 0 },
  ],
  run: sizeOfRecord,
};
