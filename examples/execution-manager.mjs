// Shows an Execution Manager, which turns playbooks into requests and runs them in one engine for many conversations at once.
//
//   node examples/execution-manager.mjs
//
// A playbook is data from other authors, and is not trusted: `parseRequest` turns all steps into requests before the first one runs, and
// parameters never become part of a shell line.
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { ExecutionEngine, ExecutionError } from '@escher/execution-engine';

/**
 * @typedef {import('@escher/execution-engine').ExecutionRequest} ExecutionRequest
 * @typedef {import('@escher/execution-engine').ExecutionSummary} ExecutionSummary
 * @typedef {{ name: string, request: ExecutionRequest, goesOn: boolean }} Step
 * @typedef {{ name: string, steps: Step[] }} Playbook
 * @typedef {{ step: string, status: string, detail: string }} StepReport
 * @typedef {{ conversation: string, playbook: string, outcome: 'done' | 'failed' | 'refused', steps: StepReport[], problem?: string }}
 * Report
 * @typedef {{ conversation: string, step: string, stream: 'stdout' | 'stderr', text: string }} LiveLine
 */

/** The error of a playbook, with a message for its author. */
export class PlaybookError extends Error {}

// ── Playbooks become requests ─────────────────────────────────────────────────────────────────────────────────────────

/**
 * Reads a playbook and replaces its parameters by their values.
 *
 * @param {string | URL} file
 * @param {Readonly<Record<string, string>>} given
 * @returns {Promise<Playbook>}
 */
export async function loadPlaybook(file, given) {
  const text = await readFile(file, 'utf8').catch((error) => {
    throw new PlaybookError(`it cannot be read (${error.code})`);
  });
  /** @type {any} */
  let playbook;
  try {
    playbook = JSON.parse(text);
  } catch (error) {
    throw new PlaybookError(`it is not JSON: ${/** @type {Error} */ (error).message}`);
  }
  const { name, parameters = {}, steps } = Object(playbook);
  if (typeof name !== 'string' || !Array.isArray(steps)) throw new PlaybookError('it needs a name and a list of steps');
  const values = fillIn(Object(parameters), given);
  return { name, steps: steps.map((step, index) => toStep(Object(step), index, values)) };
}

/**
 * Returns the value of every parameter.
 *
 * @param {Record<string, { default?: string }>} declared
 * @param {Readonly<Record<string, string>>} given
 * @returns {Map<string, string>}
 */
function fillIn(declared, given) {
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(declared, name)) throw new PlaybookError(`it has no parameter ${name}`);
  }
  const entries = Object.entries(declared).map(([name, parameter]) => {
    const value = given[name] ?? Object(parameter).default;
    if (typeof value !== 'string') throw new PlaybookError(`its parameter ${name} has no value`);
    return /** @type {const} */ ([name, value]);
  });
  return new Map(entries);
}

/**
 * @param {any} step
 * @param {number} index
 * @param {Map<string, string>} values
 * @returns {Step}
 */
function toStep(step, index, values) {
  const { name = `step ${index + 1}`, on_failure = 'stop', ...wire } = step;
  try {
    // A parameter in a shell line would be code. In a shell line it is available as a variable: `$PARAM_NAME`.
    const inShell = wire.command?.type === 'shell';
    const variables = [...values].map(([key, value]) => [`PARAM_${key.toUpperCase()}`, value]);
    const { command, ...rest } = wire;
    const request = ExecutionEngine.parseRequest({
      ...replace(rest, values),
      command: inShell ? command : replace(command, values),
      env: { ...replace(wire.env ?? {}, values), ...Object.fromEntries(inShell ? variables : []) },
    });
    return { name, request, goesOn: on_failure === 'continue' };
  } catch (error) {
    if (error instanceof ExecutionError) throw new PlaybookError(`steps[${index}] (${name}): ${error.message}`);
    throw error;
  }
}

/**
 * Returns a copy of the data in which the value of the parameter replaces every `{{name}}`.
 *
 * @param {any} data
 * @param {Map<string, string>} values
 * @returns {any}
 */
function replace(data, values) {
  if (typeof data === 'string') {
    return data.replace(/\{\{(\w+)\}\}/g, (_, name) => {
      const value = values.get(name);
      if (value === undefined) throw new PlaybookError(`it uses the parameter ${name}, which it does not declare`);
      return value;
    });
  }
  if (Array.isArray(data)) return data.map((item) => replace(item, values));
  if (typeof data !== 'object' || data === null) return data;
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, replace(value, values)]));
}

// ── Requests run ──────────────────────────────────────────────────────────────────────────────────────────────────────

export class ExecutionManager {
  #engine;
  #show;
  /** The owners of the running executions, by id. @type {Map<string, { conversation: string, step: string }>} */ #owners = new Map();

  /**
   * @param {ExecutionEngine} engine
   * @param {(line: LiveLine) => void} show Receives every line as it is written.
   */
  constructor(engine, show) {
    this.#engine = engine;
    this.#show = show;
    for (const stream of /** @type {const} */ (['stdout', 'stderr'])) {
      engine.on(stream, (/** @type {import('@escher/execution-engine').OutputEvent} */ { executionId, line }) => {
        const owner = this.#owners.get(executionId);
        if (owner) this.#show({ ...owner, stream, text: line });
      });
    }
  }

  /**
   * Runs a playbook for a conversation. The promise never rejects: every failure is in the report.
   *
   * @param {string} conversation
   * @param {string | URL} file
   * @param {Readonly<Record<string, string>>} [parameters]
   * @param {AbortSignal} [signal] Ends the running step, and the playbook with it.
   * @returns {Promise<Report>}
   */
  async run(conversation, file, parameters = {}, signal) {
    /** @type {Report} */
    const report = { conversation, playbook: String(file).split('/').at(-1) ?? '', outcome: 'done', steps: [] };
    try {
      const playbook = await loadPlaybook(file, parameters);
      report.playbook = playbook.name;
      for (const step of playbook.steps) {
        const done = await this.#step(conversation, playbook, step, signal);
        report.steps.push(done);
        if (done.status === 'completed' || step.goesOn) continue;
        report.outcome = 'failed';
        break;
      }
    } catch (error) {
      if (!(error instanceof PlaybookError)) throw error;
      report.outcome = 'refused';
      report.problem = error.message;
    }
    return report;
  }

  /**
   * @param {string} conversation
   * @param {Playbook} playbook
   * @param {Step} step
   * @param {AbortSignal | undefined} signal
   * @returns {Promise<StepReport>}
   */
  async #step(conversation, playbook, { name, request }, signal) {
    // The id is created here, so that the owner of the first line is already known.
    const id = randomUUID();
    this.#owners.set(id, { conversation, step: name });
    const metadata = { ...request.metadata, source: `playbook:${playbook.name}`, conversationId: conversation, label: name };
    try {
      const { status, reason, exitCode } = await this.#engine.run({ ...request, id, metadata }, { signal });
      const detail = reason === 'exit' ? `exit code ${exitCode}` : (reason ?? '');
      return { step: name, status, detail };
    } catch (error) {
      if (!(error instanceof ExecutionError)) throw error;
      return { step: name, status: 'failed', detail: error.code };
    } finally {
      this.#owners.delete(id);
    }
  }

  /**
   * Returns the executions, oldest first. The engine keeps their records as long as its configuration states.
   *
   * @param {{ playbook?: string, since?: Date }} [filter]
   * @returns {ExecutionSummary[]}
   */
  audit({ playbook, since } = {}) {
    return this.#engine.listExecutions({ source: playbook && `playbook:${playbook}`, since }).reverse();
  }
}

// ── An example run ────────────────────────────────────────────────────────────────────────────────────────────────────

async function main() {
  const engine = new ExecutionEngine({ maxConcurrentExecutions: 4, defaultTimeoutMs: 60_000, maxOutputSizeBytes: 1024 * 1024 });
  const manager = new ExecutionManager(engine, ({ conversation, step, stream, text }) => {
    console.log(`${conversation} ${step}${stream === 'stderr' ? '!' : ''}: ${text}`);
  });
  const playbook = (/** @type {string} */ name) => new URL(`playbooks/${name}.json`, import.meta.url);
  const folder = fileURLToPath(new URL('.', import.meta.url));

  const reports = await Promise.all([
    manager.run('anna', playbook('inventory'), { folder, owner: 'Anna; rm -rf ~' }),
    manager.run('ben', playbook('inventory'), { folder }),
    manager.run('carla', playbook('release'), { version: '1.2.0' }),
    manager.run('dora', playbook('typing-error')),
    manager.run('emil', playbook('not-json')),
    manager.run('finn', playbook('inventory')),
    manager.run('gina', playbook('no-program')),
    manager.run('hugo', playbook('nowhere')),
  ]);

  console.log('\nreports');
  for (const { conversation, playbook, outcome, steps, problem } of reports) {
    const summary = problem ?? steps.map(({ step, status, detail }) => `${step} ${status} (${detail})`).join(', ');
    console.log(`${conversation} ${playbook} ${outcome}: ${summary}`);
  }

  console.log('\naudit');
  for (const { conversationId, label, status, exitCode } of manager.audit()) {
    console.log(`${conversationId} ${label} ${status} ${exitCode}`);
  }
  const { total, completed, failed, timeout } = engine.getStats();
  console.log(`\n${total} commands: ${completed} completed, ${failed} failed, ${timeout} timed out`);
  await engine.shutdown();
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await main();
