// Answers the questions of a command without a user. Whenever the command waits for input, the first rule that matches the question has the
// answer. A question without a rule ends the command and is returned. The engine emits the event `waiting` on Linux.
//
//   node examples/interactive.mjs
import { pathToFileURL } from 'node:url';

import { ExecutionEngine } from '@escher/execution-engine';

/**
 * Runs a command in a terminal, and answers its questions.
 *
 * @param {ExecutionEngine} engine
 * @param {import('@escher/execution-engine').ExecutionRequest} request
 * @param {{ asks: RegExp, answer: string, isSecret?: boolean }[]} rules
 */
export async function runInteractive(engine, request, rules) {
  // A secret is masked in all data that leaves the engine, also where a terminal echoes it.
  const secrets = rules.filter(({ isSecret }) => isSecret).map(({ answer }) => answer);
  const session = engine.stream(request, { terminal: true, secrets });
  const id = await session.id;
  /** @type {string[]} */
  const asked = [];
  let unanswered = null;
  for await (const event of session) {
    if (event.type !== 'waiting') continue;
    asked.push(event.prompt);
    const rule = rules.find(({ asks }) => asks.test(event.prompt));
    if (rule) {
      // The Enter key is `\r`, also for programs in raw mode. A command that has just ended takes no more input.
      await engine.write(id, `${rule.answer}\r`).catch(() => {});
    } else {
      unanswered = event.prompt;
      await engine.cancel(id);
    }
  }
  return { asked, unanswered, result: await session.result };
}

/** The script of an installer, which asks for a name, for a password that is not shown, and for a confirmation. */
const INSTALLER = `
  printf 'Your name: '; read -r name
  printf 'Password: '; stty -echo; read -r word; stty echo; echo
  printf 'Install for %s? [y/N] ' "$name"; read -r sure
  [ "$sure" = y ] || exit 1
  echo "installed, with a password of \${#word} letters"`;

async function main() {
  const engine = new ExecutionEngine({ waitingAfterMs: 300 });
  const rules = [
    { asks: /name/i, answer: 'Ann' },
    { asks: /password/i, answer: 'correct horse', isSecret: true },
    { asks: /\[y\/n\]/i, answer: 'y' },
  ];
  /** @type {import('@escher/execution-engine').ExecutionRequest} */
  const request = { command: { type: 'shell', command: INSTALLER }, timeoutMs: 60_000 };
  for (const known of [rules, rules.slice(0, 2)]) {
    const { asked, unanswered, result } = await runInteractive(engine, request, known);
    console.log(asked.map((prompt) => `asked: ${prompt.trim()}`).join('\n'));
    if (unanswered !== null) console.log(`no answer is known to: ${unanswered.trim()}`);
    console.log(`${result.status}: ${result.stdout.trim().split(/\r\n/).at(-1)}`);
  }
  await engine.shutdown();
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
