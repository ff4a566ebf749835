import { most } from '../harness/goals.mjs';
import { sizeOfRecord } from '../workloads/records.mjs';

const needs = '@escher/execution-engine';

export default {
  name: 'record-size',
  title: 'memory of the host for each record without output',
  unit: 'bytes',
  better: 'lower',
  contenders: { 'never started': needs, 'has run': needs },
  goals: [most(2048, 'never started ≤ 2 048 bytes', undefined, 'never started'), most(2048, 'has run ≤ 2 048 bytes', undefined, 'has run')],
  columns: [
    { key: 'idleBytes', title: "unused heap of V8 on top", digits: 0 },
    { key: 'records', title: 'records', digits: 0 },
  ],
  run: sizeOfRecord,
};
