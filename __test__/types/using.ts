// `await using`, which TypeScript has since 5.2.
import { ExecutionEngine } from '../../index.js';

export async function scoped() {
  await using own = new ExecutionEngine();
  return own.run({ command: { type: 'exec', program: 'true' } });
}
