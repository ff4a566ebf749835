// The real AWS command line against a server on loopback: what it says arrives untouched, and its arguments reach it.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { HOST_POLICY, aws, awsEnv, missingTools, startServer, withoutEngine } from './helpers/aws.mjs';
import { recordedEngine } from './helpers/engine.mjs';
import { folder } from './helpers/programs.mjs';

const REGION = 'eu-west-3';
const missing = missingTools();
let server;

before(async () => {
  if (!missing) server = await startServer();
});
after(() => server?.stop());

/** Defines a test with a server: skipped with a message where the tools are missing, failed there on CI. */
function awsTest(name, body) {
  test(name, async (t) => {
    if (!missing) return body(t);
    assert.ok(!process.env.CI, missing);
    console.error(`SKIPPED: ${name}: ${missing}`);
    t.skip(missing);
  });
}

/** Sets up what one test needs; `run` takes the words after `aws`. */
function setUp(t, config) {
  const dir = folder(t);
  const env = awsEnv(server.endpoint, dir, config);
  const { engine, events } = recordedEngine(t, HOST_POLICY);
  const run = (words, more) => engine.run(aws(env, words, more));
  const succeed = async (words, more = { region: REGION }) => {
    const result = await run(words, more);
    assert.equal(result.status, 'completed', `aws ${words.join(' ')}: ${result.stderr}`);
    assert.equal(result.exitCode, 0);
    return result;
  };
  return { dir, env, events, run, succeed };
}

const locationOf = (bucket) => ['s3api', 'get-bucket-location', '--bucket', bucket];

awsTest('s3: a file goes there and comes back byte by byte', async (t) => {
  const { dir, events, succeed } = setUp(t);
  const bytes = randomBytes(300_000);
  const [there, back] = ["it's a file.bin", 'back.bin'].map((name) => path.join(dir, name));
  const key = "s3://round-trip/a b/$c 'd'.bin";
  writeFileSync(there, bytes);

  assert.equal((await succeed(['s3', 'mb', 's3://round-trip'])).stdout, 'make_bucket: round-trip\n');
  const up = await succeed(['s3', 'cp', there, key]);
  assert.match((await succeed(['s3', 'ls', 's3://round-trip', '--recursive'])).stdout, /^\S+ \S+ +300000 a b\/\$c 'd'\.bin\n$/);
  const list = await succeed(['s3', 'ls']);
  await succeed(['s3', 'cp', key, back]);

  assert.ok(readFileSync(back).equals(bytes), 'what came back is what went there');
  assert.match(list.stdout, / round-trip\n/);
  // The progress overwrites itself with carriage returns; the last line remains.
  const said = events.of(up.id).filter((event) => event.type === 'stdout');
  assert.ok(
    said.some((event) => event.carriageReturn && event.line.startsWith('Completed ')),
    'progress lines have their flag',
  );
  assert.match(events.lines(up.id).at(-1), /^upload: .*it's a file\.bin to s3:\/\/round-trip\/a b\/\$c 'd'\.bin/);
});

awsTest('sts: its JSON arrives untouched', async (t) => {
  const { env, succeed } = setUp(t);
  const words = ['sts', 'get-caller-identity'];
  const { stdout, stderr } = await succeed(words);
  const { Account, Arn, UserId } = JSON.parse(stdout);
  assert.match(Account, /^\d{12}$/);
  assert.match(Arn, new RegExp(`^arn:aws:sts::${Account}:`));
  assert.ok(UserId);
  assert.deepEqual({ exitCode: 0, stdout, stderr }, withoutEngine(env, [...words, '--region', REGION]));
});

awsTest('a call that fails keeps its exit code and what it said', async (t) => {
  const { env, run } = setUp(t);
  const words = ['s3', 'ls', 's3://no-such-bucket'];
  const { status, success, reason, exitCode, stdout, stderr, error } = await run(words, { region: REGION });
  assert.deepEqual(
    { status, success, reason, stdout, error },
    { status: 'failed', success: false, reason: 'exit', stdout: '', error: undefined },
  );
  assert.ok(exitCode > 0);
  assert.match(stderr, /NoSuchBucket/);
  assert.deepEqual({ exitCode, stdout, stderr }, withoutEngine(env, [...words, '--region', REGION]));
});

awsTest('the region reaches the server', async (t) => {
  const { succeed } = setUp(t);
  await succeed(['s3', 'mb', 's3://in-a-region'], { region: 'ap-southeast-2' });
  assert.equal(JSON.parse((await succeed(locationOf('in-a-region'))).stdout).LocationConstraint, 'ap-southeast-2');
});

awsTest('the profile is read from its file, and a region goes before that of the profile', async (t) => {
  const keys = 'aws_access_key_id = profiled\naws_secret_access_key = profiled\n';
  const { succeed } = setUp(t, `[profile "some one"]\nregion = sa-east-1\noutput = text\n${keys}`);
  const profile = 'some one';
  assert.equal((await succeed(['configure', 'get', 'region'], { profile })).stdout, 'sa-east-1\n');
  await succeed(['s3', 'mb', 's3://by-profile'], { profile });
  assert.equal((await succeed(locationOf('by-profile'), { profile })).stdout, 'sa-east-1\n', 'text, as the profile says');
  await succeed(['s3', 'mb', 's3://by-both'], { profile, region: 'ca-central-1' });
  assert.equal((await succeed(locationOf('by-both'), { profile })).stdout, 'ca-central-1\n');
});

awsTest('aws itself reports a missing profile', async (t) => {
  const { run } = setUp(t);
  const { status, exitCode, stderr } = await run(['sts', 'get-caller-identity'], { profile: 'missing', region: REGION });
  assert.equal(status, 'failed');
  assert.ok(exitCode > 0);
  assert.match(stderr, /profile \(missing\) could not be found/);
});
