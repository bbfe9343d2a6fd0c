// `npm run bench`: compares this service with bare servers and Nest applications in one run. Prints the results and
// writes results.json and chart.svg. A slow result never fails the run, because only ratios are comparable across machines.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import prettier from 'prettier';
import { measureBoot } from './boot.mjs';
import { drawChart } from './chart.mjs';
import { measureCold } from './cold.mjs';
import { measureCpu } from './cpu.mjs';
import { startDatabase } from './database.mjs';
import { measureLatency } from './latency.mjs';
import { measureLayer } from './layer.mjs';
import { canDropCaches, cores, isBusy, isPinned, leaveServicesCore } from './machine.mjs';
import { buildNest, NEST } from './baselines/build.mjs';
import { checkPlans } from './plans.mjs';
import { goalsTable, judge, servicesTable, variantsTable, withGoals } from './report.mjs';
import { answersOf, compareAnswers } from './requests.mjs';
import { measureRows } from './rows.mjs';
import { killServices, SERVICES, startService } from './services.mjs';

const USAGE = `Usage: npm run bench [-- OPTIONS]
  --quick             fewer and shorter rounds: a first look
  --only=PART,PART    only these parts: boot, cold, cpu, latency
  --rows=N            only the time of requests with 10,000 rows and with N, up to 10,000,000, in each table
  --plans=N           only checks with N rows that no list scans a table: exits with 1 if one does
  --help              this text
--quick, --only, --rows and --plans do not write the results.`;

const NAMES = Object.keys(SERVICES);

/**
 * Cold starts per round; windows per round and route, and requests per window; latency in seconds. The warm-ups, in requests and
 * in seconds, include the compilation of hot code by V8.
 */
const FULL = {
  names: NAMES,
  rounds: 3,
  cold: { starts: 4 },
  cpu: { rounds: 4, warmUp: 10_000, windows: 12, requests: 200 },
  latency: { warmUp: 10, seconds: 6 },
};
/** Excludes Fastify, which has no goals. */
const QUICK = {
  names: NAMES.filter((name) => name !== 'fastify'),
  rounds: 2,
  cold: { starts: 2 },
  cpu: { warmUp: 1_000, windows: 5, requests: 200 },
  latency: { warmUp: 2, seconds: 2 },
};

const PARTS = {
  boot: async (database, { names }) => {
    const layer = measureLayer();
    const sizes = layer && { layer: { ours: [layer.unpacked] }, layerPacked: { ours: [layer.packed] } };
    return { ...(await measureBoot(names, database)), ...sizes };
  },
  cold: (database, { names, rounds, cold }) =>
    measureCold(database, { names: [...names, 'unreachable'], rounds, ...cold }),
  cpu: (database, { names, rounds, cpu }) => measureCpu(database, { names, rounds, ...cpu }),
  latency: (database, { rounds, latency }) =>
    measureLatency(database, { names: ['ours', 'express', 'stock'], rounds, ...latency }),
};

let isInterrupted = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    isInterrupted = true;
    killServices(); // fails the current measurement, which stops the database
  });
}

try {
  const options = parse();
  if (options.help) console.log(USAGE);
  else await bench(options);
} catch (error) {
  console.error(isInterrupted ? 'Interrupted: no results were written.' : error.message);
  process.exitCode = 1;
} finally {
  killServices();
}

function parse() {
  const flag = { type: 'boolean', default: false };
  const { values } = parseArgs({
    options: { quick: flag, help: flag, only: { type: 'string' }, rows: { type: 'string' }, plans: { type: 'string' } },
  });
  for (const number of [values.rows, values.plans].filter(Boolean)) {
    if (!(number >= 1 && number <= 10_000_000)) throw new Error(USAGE);
  }
  const parts = values.only?.split(',') ?? Object.keys(PARTS);
  if (!parts.every((part) => Object.hasOwn(PARTS, part))) throw new Error(USAGE);
  return { ...values, parts };
}

async function bench({ quick, only, rows, plans, parts }) {
  console.log('Building …');
  build();
  if (plans) return console.log(await checkPlans(Number(plans)));
  if (rows) return console.log(`\n${await measureRows(Number(rows))}`);
  for (const name of Object.keys(NEST)) buildNest(name);
  if (await isBusy()) console.log('Another process is using the CPU. Expect rounds that differ.');
  const pinning = isPinned
    ? 'The service runs on a dedicated core.'
    : 'CPU pinning is off: it requires Linux, taskset and 2 cores.';
  console.log(canDropCaches ? pinning : `${pinning} The page cache remains warm: dropping it requires root on Linux.`);
  leaveServicesCore();

  const database = await startDatabase();
  const cells = {};
  try {
    await proveSameWork(database);
    for (const part of parts) {
      console.log(`Measuring: ${part} …`);
      Object.assign(cells, await PARTS[part](database, quick ? QUICK : FULL));
      if (isInterrupted) throw new Error();
    }
  } finally {
    await database.stop();
  }

  const verdicts = judge(cells);
  console.log(`\n${[servicesTable(cells), variantsTable(cells), goalsTable(verdicts)].filter(Boolean).join('\n\n')}\n`);
  if (quick || only) return;
  const results = { machine: describeMachine(database), pace: FULL, cells, verdicts };
  await write(results);
}

function build() {
  const { status } = spawnSync(process.execPath, ['--run', 'build'], { stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) throw new Error('The build failed. Run npm run build for details.');
}

async function proveSameWork(database) {
  let ours;
  for (const name of NAMES) {
    await database.seed();
    const service = await startService(name, { databaseUrl: database.url });
    const answers = await answersOf(service, database.keys);
    await service.stop();
    ours ??= answers;
    compareAnswers(name, answers, ours);
  }
}

function describeMachine({ version }) {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));
  const names = ['@nestjs/core', '@nestjs/throttler', 'express', 'fastify', 'passport', 'pg', 'typeorm', 'autocannon'];
  return {
    date: new Date().toISOString().slice(0, 10),
    system: `${process.platform} ${process.arch}`,
    cores,
    pinned: isPinned,
    node: process.versions.node,
    postgresql: version,
    packages: Object.fromEntries(names.map((name) => [name, packages[`node_modules/${name}`].version])),
  };
}

async function write(results) {
  const names = ['results.json', 'README.md', 'chart.svg'];
  const [json, readme, chart] = names.map((name) => fileURLToPath(new URL(name, import.meta.url)));
  const text = JSON.stringify(results, rounded);
  await writeFormatted(json, text);
  await writeFormatted(readme, withGoals(readFileSync(readme, 'utf8'), JSON.parse(text).verdicts));
  writeFileSync(chart, drawChart(JSON.parse(text)));
  console.log(`Results written to ${names.join(', ')} in template/bench.`);
}

async function writeFormatted(filepath, text) {
  writeFileSync(filepath, await prettier.format(text, { ...(await prettier.resolveConfig(filepath)), filepath }));
}

/** Rounds to the precision of the measurements. */
function rounded(_key, value) {
  return typeof value === 'number' ? Number(value.toPrecision(4)) : value;
}
