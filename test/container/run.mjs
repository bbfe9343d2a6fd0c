// `npm run test:container`: builds the image, or uses IMAGE, and simulates Cloud Run by deploy/service.yaml.
// `npm run test:container -- late` runs the scenarios with this word in their name.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startPostgres } from '../../tools/dev/postgres.mjs';
import { createOfflineKey } from './api-key.mjs';
import { createDatabase } from './database.mjs';
import { buildImage, createNetwork, removeAll, requireEngine } from './docker.mjs';
import { inspectImage } from './image.mjs';
import { runJob } from './instance.mjs';
import { service } from './manifest.mjs';
import { scenarios, seconds } from './scenarios.mjs';
import { createStage } from './stage.mjs';
import { workload } from './workload.mjs';

/** The longest scenario waits until the startup window ends. */
const TIMEOUT_MS = service.startup.windowMs + 60_000;

requireEngine();
const directory = mkdtempSync(join(tmpdir(), 'container-test-'));
const verdicts = [];
let server;
let ending;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => end(1));
try {
  await main(process.argv[2] ?? '');
} catch (error) {
  console.error(error.message);
  verdicts.push('FAILED');
}
await end(verdicts.includes('FAILED') ? 1 : 0);

async function main(wanted) {
  const image = buildImage();
  server = await startPostgres(directory, { durable: false });
  Object.assign(process.env, { TEST_SERVER_URL: server.url, TEST_TEMPLATE: 'container' });
  const network = await createNetwork();
  print(['', 'scenario', 'start', 'took', '']);

  const { commit } = await check('image', () => inspectImage(image));
  const { key } = await check('job: migrate', () => prepare(image));
  for (const [name, run] of Object.entries(scenarios)) {
    if (!name.includes(wanted)) continue;
    const stage = await createStage({ image, network, commit, headers: { 'x-api-key': key } });
    await check(name, () => play(run, stage));
    await stage.clear();
  }
  const failed = verdicts.filter((verdict) => verdict === 'FAILED').length;
  console.log(`\n${verdicts.length - failed} passed, ${failed} failed`);
}

/** Creates the database that the scenarios copy, with the programs of the image: its migrations, and an API key. */
async function prepare(image) {
  const database = await createDatabase({ empty: true });
  const { key, id, hash } = createOfflineKey();
  const register = `dist/api-keys.js create --id ${id} --hash ${hash} --name container-test --scopes ${workload.scopes}`;
  const migrated = await runJob({ image, database });
  const registered = await runJob({ image, database, args: register.split(' ') });
  for (const { code, output } of [migrated, registered]) if (code !== 0) throw new Error(output);
  await database.stop(); // a template can have no connections
  rmSync(database.directory, { recursive: true });
  process.env.TEST_TEMPLATE = database.name;
  return { key, text: JSON.parse(migrated.output.trim().split('\n').at(-1)).message };
}

async function play(run, stage) {
  const timeout = sleep(TIMEOUT_MS, undefined, { ref: false }).then(() => {
    throw new Error(`Not finished within ${seconds(TIMEOUT_MS)}`);
  });
  try {
    const text = await Promise.race([run(stage), timeout]);
    return { text, startMs: stage.instances[0].startMs };
  } catch (error) {
    throw new Error([error.message, ...stage.lastLines()].join('\n'), { cause: error });
  }
}

/** Runs one line of the report. */
async function check(name, run) {
  const startedAt = performance.now();
  const [verdict, result] = await run().then(
    (value) => ['ok', value],
    (error) => ['FAILED', { text: error.message }],
  );
  verdicts.push(verdict);
  const { startMs, text } = result;
  const start = startMs === undefined ? '' : `${seconds(startMs)} of ${service.startup.windowMs / 1000} s`;
  print([verdict, name, start, seconds(performance.now() - startedAt), text]);
  return result;
}

function print([verdict, name, start, took, text]) {
  console.log(`${verdict.padEnd(6)} ${name.padEnd(28)} ${start.padEnd(14)} ${took.padStart(7)}  ${text}`.trimEnd());
}

/** Removes everything and exits. After a signal, the current scenario fails and main() calls this, too. */
function end(code) {
  ending ??= removeEverything().then(() => process.exit(code));
  return ending;
}

async function removeEverything() {
  removeAll();
  await server?.stop();
  rmSync(directory, { recursive: true });
}
