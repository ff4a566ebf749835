// The output of `cat` by the engine, as text.
import { createRequire } from 'node:module';

export function openEngine(settings) {
  const { ExecutionEngine } = createRequire(import.meta.url)('@escher/execution-engine');
  const engine = new ExecutionEngine(settings);
  const read = async (file) => {
    const { exitCode, stdout } = await engine.run({ command: { type: 'exec', program: 'cat', args: [file] } });
    if (exitCode !== 0) throw new Error(`cat ended with ${exitCode}`);
    return stdout;
  };
  return { read, close: () => engine.shutdown() };
}
