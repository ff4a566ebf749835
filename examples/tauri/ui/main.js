// Shows the window: a command line for a shell, its output as it is written, and a list of executions.
const { Channel, invoke } = window.__TAURI__.core;
const { listen } = window.__TAURI__.event;

const line = document.querySelector('#line');
const output = document.querySelector('#output');
const executions = document.querySelector('#executions');

/** Returns a request in the form that the engine reads: snake_case, as in Rust. */
const request = () => ({ command: { type: 'shell', command: line.value }, metadata: { source: 'window' } });

/** Shows output as text: nothing in it is interpreted as HTML. */
function show(text, style = '') {
  const part = document.createElement('span');
  part.className = style;
  part.textContent = text;
  output.append(part);
  output.scrollTop = output.scrollHeight;
}

function showEvent(event) {
  if (event.type === 'started') show(`$ ${event.command}\n`);
  // A line that is shown in pieces ends with its last piece.
  if (event.type === 'stdout' || event.type === 'stderr') show(event.line + (event.partial || event.continued ? '' : '\n'), event.type);
  if (event.type === 'started' || event.result) list();
}

const showError = (error) => show(`${error.code}: ${error.message}\n`, 'stderr');

/** Runs a command to its end, with the events of this call only. */
async function run() {
  const onEvent = new Channel();
  onEvent.onmessage = showEvent;
  const result = await invoke('run_command', { request: request(), onEvent });
  show(`${result.status}, exit code ${result.exit_code ?? '-'}, ${Math.round(result.duration_ms)} ms\n`);
}

/** Runs a command in the background; its events come as events of the application. */
const start = () => invoke('execute_command', { request: request() });

async function list() {
  const rows = await invoke('list_executions', { limit: 20 });
  executions.replaceChildren(...rows.map(row));
}

function row({ id, status, command, duration_ms: duration }) {
  const row = document.createElement('tr');
  for (const text of [status, command, duration === null ? '' : Math.round(duration)]) row.insertCell().textContent = text;
  const last = row.insertCell();
  if (status === 'pending' || status === 'running') {
    const cancel = document.createElement('button');
    cancel.textContent = 'Cancel';
    cancel.onclick = () => invoke('cancel_execution', { id }).then(list, showError);
    last.append(cancel);
  }
  return row;
}

document.querySelector('#form').onsubmit = (event) => {
  event.preventDefault();
  run().catch(showError).then(list);
};
document.querySelector('#start').onclick = () => start().catch(showError);

listen('execution-event', ({ payload }) => showEvent(payload)).then(list, showError);
