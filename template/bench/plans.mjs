// `npm run bench -- --plans N`: checks the plans of all lists, with N vouchers.
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSide, LISTS, pathOf, startServer } from './rows.mjs';

const { name } = JSON.parse(readFileSync('package.json', 'utf8'));
const DIRECTORY = join('.data', 'bench-plans');

/** Rows per statement, read or sorted: src/platform/database/bounded-page.ts reads up to 10,000, and a page more. */
const MAX_ROWS = 10_100;

/** PostgreSQL logs the plan of each statement: https://www.postgresql.org/docs/current/auto-explain.html */
export const EXPLAIN_SETTINGS = {
  session_preload_libraries: 'auto_explain',
  'auto_explain.log_min_duration': 0,
  'auto_explain.log_analyze': 'on',
  'auto_explain.log_format': 'json',
};
export const LOG_SETTINGS = {
  log_destination: 'jsonlog',
  logging_collector: 'on',
  log_directory: 'plans',
  log_filename: 'plans',
};
const LOG_TIMEOUT_MS = 30_000;
/** Returns the log of the server in a directory. */
export const planLogOf = (directory) => join(directory, 'cluster', 'data', 'plans', 'plans.json');

/**
 * Sends each list request to a service and reads the plans of its statements.
 * @returns a summary
 * @throws {Error} with each statement that scans the table, or that reads or sorts too many rows
 */
export async function checkPlans(rows) {
  const log = planLogOf(DIRECTORY);
  rmSync(log, { force: true });
  const server = await startServer(DIRECTORY, { ...EXPLAIN_SETTINGS, ...LOG_SETTINGS });
  const stops = [server.stop];
  try {
    console.log(`Creating ${rows.toLocaleString('en-US')} rows in each table …`);
    const side = await createSide(server.url, 'plans', rows);
    stops.unshift(() => side.stop());
    const paths = [];
    for (const list of LISTS) {
      const path = await pathOf(side, list);
      const { status, body } = await side.send({ path });
      if (status !== 200) throw new Error(`${path}: ${status} ${body}`);
      // Its plan ends those of the request.
      await side.client.query(`SELECT ${paths.push(path)} AS request`);
    }
    const statements = await readPlans(log, paths);
    const problems = problemsIn(statements);
    if (problems.length > 0) throw new Error(problems.join('\n\n'));
    return `${statements.size} lists read at most ${MAX_ROWS.toLocaleString('en-US')} rows per statement, without a scan of the table.`;
  } finally {
    for (const stop of stops) await stop();
  }
}

/**
 * Reads the statements of the paths. `SELECT 1 AS request` follows those of the first one.
 * @returns {Promise<Map<string, { text: string, nodes: object[] }[]>>} the statements of each path
 */
export async function readPlans(log, paths) {
  const statements = new Map(paths.map((path) => [path, []]));
  let request = 0;
  for (const line of await wholeLog(log, `SELECT ${paths.length} AS request`)) {
    const { application_name: client, message } = JSON.parse(line);
    const [, plan] = /^duration: .*?plan:\n(.*)/s.exec(message) ?? [];
    if (!plan) continue;
    const { 'Query Text': text, Plan: root } = JSON.parse(plan);
    if (/^SELECT \d+ AS request$/.test(text)) request++;
    else if (client === name && paths[request]) statements.get(paths[request]).push({ text, nodes: flatten(root) });
  }
  return statements;
}

/** The server writes its log asynchronously. */
async function wholeLog(log, end) {
  for (const begin = Date.now(); Date.now() - begin < LOG_TIMEOUT_MS; await sleep(100)) {
    const text = readFileSync(log, 'utf8');
    if (text.includes(end)) return text.split('\n').filter(Boolean);
  }
  throw new Error(`${log} has no plan of "${end}".`);
}

const flatten = (node) => [node, ...(node.Plans ?? []).flatMap(flatten)];

/** @returns {string[]} the statements that scan the table, or that read or sort too many rows */
export function problemsIn(statements, table = 'vouchers') {
  const problems = [];
  for (const [path, own] of statements) {
    const reads = own.filter(({ nodes }) => nodes.some((node) => node['Relation Name'] === table));
    if (reads.length === 0) problems.push(`${path}: no plan was logged`);
    for (const { text, nodes } of reads) {
      for (const problem of nodes.flatMap((node) => problemsOf(node, table)))
        problems.push(`${path}: ${problem}: ${text}`);
    }
  }
  return problems;
}

function problemsOf(node, table) {
  const { 'Node Type': type, 'Relation Name': relation, 'Actual Rows': rows = 0, 'Actual Loops': loops = 1 } = node;
  const removed = (node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Index Recheck'] ?? 0);
  const read = Math.round((rows + removed) * loops);
  if (type === 'Seq Scan' && relation === table) return [`scans the table, ${read} rows`];
  if (/Scan|Sort/.test(type) && read > MAX_ROWS) return [`${type} of ${read} rows`];
  return [];
}
