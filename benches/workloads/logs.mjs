// Measures how soon output that was read is in the log.
import { readFileSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';

/** Returns the milliseconds from the line event to finding the line in the file: the longest of so many. */
export async function delayOfLog(lines) {
  const { ExecutionEngine } = createRequire(import.meta.url)('@escher/execution-engine');
  const logDir = mkdtempSync(path.join(tmpdir(), 'bench-logs-'));
  try {
    const engine = new ExecutionEngine({ logDir });
    let [longest, ahead, received] = [0, 0, 0];
    engine.on('stdout', ({ executionId, line }) => {
      received += 1;
      const start = performance.now();
      const isThere = () => readFileSync(path.join(logDir, `${executionId}.log`), 'utf8').includes(`${line}\n`);
      if (isThere()) {
        ahead += 1;
        return;
      }
      while (!isThere()) if (performance.now() - start > 10_000) throw new Error(`line ${line} is not in the log`);
      longest = Math.max(longest, performance.now() - start);
    });
    await engine.run({ command: { type: 'shell', command: `for i in $(seq ${lines}); do echo "line $i"; sleep 0.005; done` } });
    await engine.shutdown();
    if (received !== lines) throw new Error(`${received} lines were received`);
    return { value: longest, columns: { ahead: (ahead / lines) * 100 } };
  } finally {
    rmSync(logDir, { recursive: true });
  }
}
