// The real AWS command line, and a server of our own on loopback that answers it.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import path from 'node:path';

import { file, until } from './programs.mjs';

const START_LIMIT_MS = 60_000;

/** Returns what is missing or does not start, as a sentence; `undefined` when everything is there. */
export function missingTools() {
  const broken = [
    ['aws', '--version'],
    ['moto_server', '--help'],
  ].filter((words) => spawnSync(words[0], words.slice(1), { timeout: START_LIMIT_MS }).status !== 0);
  if (broken.length === 0) return undefined;
  const names = broken.map(([name]) => `\`${name}\``).join(' and ');
  return `${names} did not start: put a Python environment with \`pip install awscli 'moto[server]'\` first on the PATH`;
}

/** Starts a moto server on a free port of loopback, and waits until it answers. */
export async function startServer() {
  const child = spawn('moto_server', ['-H', '127.0.0.1', '-p', '0'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const closed = new Promise((resolve) => child.on('close', resolve));
  const onExit = () => child.kill('SIGKILL');
  process.on('exit', onExit);
  let said = '';
  let over = false;
  closed.then(() => (over = true));
  child.on('error', (error) => (said += error.message));
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (said = (said + text).slice(-65_536)));

  const stop = async () => {
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await closed;
    clearTimeout(late);
    process.off('exit', onExit);
  };
  try {
    const endpoint = await until(
      () => over || /Running on (http:\/\/127\.0\.0\.1:\d+)/.exec(said)?.[1],
      'moto_server names its port',
      START_LIMIT_MS,
    );
    await until(() => over || answers(endpoint), 'moto_server answers', START_LIMIT_MS);
    assert.ok(!over, 'moto_server runs');
    return { endpoint, stop };
  } catch (error) {
    await stop();
    throw new Error(`${error.message}; moto_server said: ${said}`, { cause: error });
  }
}

async function answers(endpoint) {
  try {
    const response = await fetch(`${endpoint}/moto-api/`, { signal: AbortSignal.timeout(1_000) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}

/** Returns the variables for requests to this server that nothing of the host's own AWS set-up changes; `HOST_POLICY` goes with them. */
export function awsEnv(endpoint, dir, config = '') {
  return {
    AWS_ENDPOINT_URL: endpoint,
    AWS_ACCESS_KEY_ID: 'testing',
    AWS_SECRET_ACCESS_KEY: 'testing',
    AWS_CONFIG_FILE: file(dir, 'config', config),
    AWS_SHARED_CREDENTIALS_FILE: path.join(dir, 'credentials'),
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_MAX_ATTEMPTS: '1',
    NO_PROXY: '127.0.0.1',
    no_proxy: '127.0.0.1',
  };
}

/** The policy for variables: none of the host's own AWS set-up; those that a Python may need to start. */
export const HOST_POLICY = { inheritEnv: 'core', envAllow: ['PYENV_*', 'LD_LIBRARY_PATH', 'DYLD_*'] };

/** A request to the AWS command line: `service`, `command`, then its arguments. */
export const aws = (env, [service, command, ...args], more) => ({
  command: { type: 'aws_cli', service, command, args, ...more },
  env,
  timeoutMs: 120_000,
});

/** Returns what the same call prints without the engine. */
export function withoutEngine(env, words) {
  const { status, stdout, stderr } = spawnSync('aws', words, { env: { ...coreOf(process.env), ...env, AWS_PAGER: '' }, timeout: 120_000 });
  return { exitCode: status, stdout: stdout.toString(), stderr: stderr.toString() };
}

const coreOf = (all) => Object.fromEntries(Object.entries(all).filter(([name]) => !name.startsWith('AWS_')));
