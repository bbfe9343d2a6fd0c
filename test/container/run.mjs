// `npm run test:container`: builds the image, or uses IMAGE, and simulates Cloud Run with it as deploy/service.yaml configures.
// `npm run test:container -- late` runs the scenarios with this word in their name.
import { setTimeout as sleep } from 'node:timers/promises';
import { createKey, credentials } from './credentials.mjs';
import { startServer } from './database.mjs';
import { buildImage, createNetwork, removeAll, requireEngine } from './docker.mjs';
import { inspectImage } from './image.mjs';
import { runJob } from './instance.mjs';
import { service } from './manifest.mjs';
import { scenarios, seconds } from './scenarios.mjs';
import { setStage } from './stage.mjs';
import { workload } from './workload.mjs';

/** Timeout of a scenario. The longest scenario waits for the end of the startup window. */
const LIMIT_MS = service.startup.windowMs + 60_000;

requireEngine();
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
  server = await startServer();
  const network = await createNetwork();
  const template = await server.createEmpty();
  print(['', 'scenario', 'start', 'took', '']);

  const { commit } = await check('image', () => inspectImage(image));
  const { key } = await check('job: migrate', () => prepare(image, template));
  for (const [name, run] of Object.entries(scenarios)) {
    if (!name.includes(wanted)) continue;
    const stage = await setStage({ image, network, server, template, commit, headers: credentials(key) });
    await check(name, () => play(run, stage));
    await stage.clear();
  }
  const failed = verdicts.filter((verdict) => verdict === 'FAILED').length;
  console.log(`\n${verdicts.length - failed} passed, ${failed} failed`);
}

/** Creates the database that the scenarios copy, with the programs of the image. */
async function prepare(image, database) {
  const { code, output } = await runJob({ image, database });
  if (code !== 0) throw new Error(output);
  const key = await createKey({ image, database, scopes: workload.scopes });
  database.shut();
  return { key, text: JSON.parse(output.trim().split('\n').at(-1)).message };
}

async function play(run, stage) {
  const limit = sleep(LIMIT_MS, undefined, { ref: false }).then(() => {
    throw new Error(`Timed out after ${seconds(LIMIT_MS)}`);
  });
  try {
    const text = await Promise.race([run(stage), limit]);
    return { text, startMs: stage.instances[0].startMs };
  } catch (error) {
    throw new Error([error.message, ...stage.lastWords()].join('\n'), { cause: error });
  }
}

/** Runs a scenario and prints its line of the report. */
async function check(name, run) {
  const beganAt = performance.now();
  const [verdict, result] = await run().then(
    (value) => ['ok', value],
    (error) => ['FAILED', { text: error.message }],
  );
  verdicts.push(verdict);
  const { startMs, text } = result;
  const start = startMs === undefined ? '' : `${seconds(startMs)} of ${service.startup.windowMs / 1000} s`;
  print([verdict, name, start, seconds(performance.now() - beganAt), text]);
  return result;
}

function print([verdict, name, start, took, text]) {
  console.log(`${verdict.padEnd(6)} ${name.padEnd(28)} ${start.padEnd(14)} ${took.padStart(7)}  ${text}`.trimEnd());
}

/** Removes all containers and networks. After a signal, the current scenario fails, and then main ends. */
function end(code) {
  ending ??= tidyUp().then(() => process.exit(code));
  return ending;
}

async function tidyUp() {
  removeAll();
  await server?.stop();
}
