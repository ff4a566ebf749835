// The window of the Tauri example calls the commands that its back end has, with their arguments. The back end itself is tested by
// `npm run test:tauri`.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const read = (name) => readFileSync(new URL(`../examples/tauri/${name}`, import.meta.url), 'utf8');
const camel = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());

/** Returns the commands of the back end, with the names of their arguments as the window writes them. */
function commands() {
  const declared = read('src/commands.rs').matchAll(/#\[tauri::command\]\npub async fn (\w+)\(([^)]*)\)/g);
  return new Map(
    [...declared].map(([, name, parameters]) => {
      const names = [...parameters.matchAll(/(\w+): /g)].map(([, parameter]) => camel(parameter));
      return [name, names.filter((parameter) => parameter !== 'engine')];
    }),
  );
}

test('every command of the back end is registered', () => {
  const [, list] = /generate_handler!\[([^\]]+)\]/.exec(read('src/lib.rs'));
  assert.deepEqual(list.match(/(?<=commands::)\w+/g).sort(), [...commands().keys()].sort());
});

test('the window calls commands that there are, with arguments that they take', () => {
  const calls = [...read('ui/main.js').matchAll(/invoke\('(\w+)', \{ ([^}]*(?:\{[^}]*\})?[^}]*?) \}\)/g)];
  assert.equal(calls.length, 4);
  const known = commands();
  for (const [, name, given] of calls) {
    assert.ok(known.has(name), name);
    const names = given.split(', ').map((argument) => argument.split(':')[0]);
    assert.deepEqual(names, known.get(name), name);
  }
});

test('the window listens to the event that the back end emits, and shows output as text', () => {
  const [, event] = /EXECUTION_EVENT: &str = "([^"]+)"/.exec(read('src/lib.rs'));
  const window = read('ui/main.js');
  assert.ok(window.includes(`listen('${event}'`));
  assert.ok(!/innerHTML|insertAdjacentHTML|document\.write/.test(window));
});
