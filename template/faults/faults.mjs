// `npm run faults`: runs fault injection drills with the built service. See USAGE.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { format as prettify, resolveConfig } from 'prettier';
import { leaveServicesCore } from '../bench/machine.mjs';
import { clients } from './drills/clients.mjs';
import { databaseAway } from './drills/database-away.mjs';
import { databaseTimeout } from './drills/database-busy.mjs';
import { hostile } from './drills/hostile.mjs';
import { load } from './drills/load.mjs';
import { migrations } from './drills/migrations.mjs';
import { crashing, stopping } from './drills/stopping.mjs';
import { writes } from './drills/writes.mjs';
import { Postgres } from './postgres.mjs';
import { format, judge, markdown, textTable } from './report.mjs';
import { Fixture } from './fixture.mjs';
import { ourService, stockNest } from './targets.mjs';

const REPORT = 'template/faults/report.md';

const DRILLS = [
  ...[...stopping, ...crashing, ...databaseAway, ...databaseTimeout],
  ...[...writes, ...clients, ...hostile, ...migrations, ...load],
];

const USAGE = `Usage: npm run faults [-- OPTION…]
  --long         uses faults of a realistic duration; also tests the stock Nest application
  --only=R3,R4   runs the listed drills; does not write a report
  --baseline     also tests the stock Nest application and writes ${REPORT}
  --soak         runs R15 for one hour
  --list         lists the drills`;

const options = parse();
const chosen = options.only ? choose(options.only.toUpperCase().split(',')) : DRILLS;
if (options.list) {
  for (const { name, title } of DRILLS) console.log(`${name.padEnd(14)} ${title}`);
  process.exit();
}

// On a shared core, the CPU time of the client would distort the measurements of the service.
leaveServicesCore();
const ours = ourService();
const targets = options.baseline || options.long ? [ours, stockNest()] : [ours];
const postgres = await Postgres.start('.data/faults');
let fixture;
for (const [signal, number] of Object.entries({ SIGINT: 2, SIGTERM: 15 })) {
  process.once(signal, () => void abandon(128 + number));
}

try {
  const results = [];
  for (const drill of chosen) results.push(await run(drill));
  console.log(`\n${textTable(results, targets)}\n`);
  const broken = results.flatMap(({ drill, columns }) => {
    const { rows, why } = columns.get(ours.name);
    const figures = rows
      .filter(({ holds }) => !holds)
      .map((row) => `${row.name} ${format(row.value)}, not ${row.limit}`);
    return [...(why ? [why] : []), ...figures].map((fault) => `${drill.name}: ${fault}`);
  });
  if (targets.length > 1 && !options.only) await writeReport(results);
  console.log(
    broken.length > 0
      ? `Exceeded limits:\n  ${broken.join('\n  ')}`
      : `All ${results.length} drills are within their limits.`,
  );
  if (broken.length > 0) process.exitCode = 1;
} finally {
  await postgres.stop();
}

/** Closes the current drill, stops PostgreSQL and exits. */
async function abandon(code) {
  await fixture?.close();
  await postgres.stop();
  process.exit(code);
}

async function run(drill) {
  const columns = new Map();
  for (const target of targets) columns.set(target.name, await runOn(target, drill));
  return { drill, columns };
}

/** @returns the figures with their limits, or the reason for their absence */
async function runOn(target, drill) {
  if (target !== ours && drill.notForBaseline) return { rows: [], why: drill.notForBaseline };
  const beganAt = performance.now();
  console.log(`${drill.name}  ${target === ours ? drill.title : target.name}`);
  let figures = {};
  let why;
  try {
    fixture = await Fixture.open({ target, postgres, name: drill.name, isLong: options.long, isSoak: options.soak });
    figures = await drill.run(fixture);
  } catch (error) {
    why = `The drill did not complete: ${error.message}`;
    console.log(`  FAILED  ${error.stack}`);
  } finally {
    await fixture?.close();
  }
  const rows = judge(drill, figures, options.long);
  for (const { name, limit, value, holds } of rows) {
    const verdict = holds ? 'ok' : target !== ours && value === undefined ? '' : 'FAILED';
    console.log(`  ${verdict.padEnd(6)}  ${name.padEnd(54)} ${format(value).padStart(9)}   ${limit}`);
  }
  for (const [name, value] of Object.entries(figures)) {
    if (!(name in drill.limits)) console.log(`          ${name}: ${format(value)}`);
  }
  for (const message of fixture?.errors.slice(0, 5) ?? []) console.log(`          logged: ${message}`);
  console.log(`          ${((performance.now() - beganAt) / 1000).toFixed(0)} s`);
  return { rows, why };
}

async function writeReport(results) {
  const [{ server_version: version }] = await postgres.query('SHOW server_version');
  const command = `npm run faults -- ${options.long ? '--long' : '--baseline'}`;
  const text = markdown(results, targets, { postgres: version, command, isSoak: options.soak });
  writeFileSync(REPORT, await prettify(text, { ...(await resolveConfig(REPORT)), parser: 'markdown' }));
  console.log(`Wrote ${REPORT}`);
}

/** Selects drills by name or by prefix: R9 selects R9-a and R9-b. */
function choose(names) {
  const unknown = names.filter((name) => !DRILLS.some((drill) => isMeant(drill, name)));
  if (unknown.length > 0) fail(`Unknown drill: ${unknown.join(', ')}. List the drills with npm run faults -- --list`);
  return DRILLS.filter((drill) => names.some((name) => isMeant(drill, name)));
}

function isMeant(drill, name) {
  const own = drill.name.toUpperCase();
  return own === name || own.startsWith(`${name}-`);
}

function parse() {
  try {
    const boolean = { type: 'boolean', default: false };
    return parseArgs({
      options: { long: boolean, only: { type: 'string' }, baseline: boolean, soak: boolean, list: boolean },
    }).values;
  } catch {
    return fail(USAGE);
  }
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
