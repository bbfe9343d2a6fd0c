// Checks the plans of all lists of a generated resource that has every field type, with ROWS rows. Only a lane of `.ci/run` and its own
// command run it: `npm run test:template -- template/generator/plans.mjs`.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { FIELD_TYPES } from '../../tools/generators/resource/field-types.mjs';
import { idOf } from '../bench/database.mjs';
import { EXPLAIN_SETTINGS, LOG_SETTINGS, planLogOf, problemsIn, readPlans } from '../bench/plans.mjs';
import { cursorOf, fill, startServer } from '../bench/rows.mjs';
import { send } from '../faults/client.mjs';
import { Service } from '../faults/service.mjs';
import { freshCopy } from '../support/fresh-copy.mjs';

const ROWS = Number(process.env.ROWS ?? 1_000_000);
const FIELDS = [
  ...Object.keys(FIELD_TYPES).map((type) => `${type}Value:${type}`),
  'stateValue:enum=draft/sent',
  'groupId:ref=groups',
];

/** The value of row n, by the type of its column. */
const VALUES = {
  bigint: 'n',
  boolean: 'n % 100 > 0', // false is rare
  date: `'2026-01-01'::date + (n % 300)::integer`,
  integer: 'n % 1000',
  jsonb: `'{"channel":"web"}'`,
  numeric: 'n / 2.0',
  text: `'value ' || lpad(n::text, 9, '0')`,
  'timestamp with time zone': `now() - interval '60 days' * (1 - n::float / $3::bigint)`,
  'USER-DEFINED': `(ARRAY['draft', 'sent'])[1 + n % 2]::items_state_value`,
  uuid: `('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid`,
};
const GROUPS = 1000;
const COLUMNS = `
  SELECT column_name AS name, data_type AS type FROM information_schema.columns
   WHERE table_name = 'items' AND column_name NOT IN ('version', 'updated_at', 'group_id') AND is_generated = 'NEVER'`;

const clone = freshCopy('plans');
const directory = join(clone.folder, '.data', 'plans');
const stops = [];
let server;
let client;
let get;

before(async () => {
  clone.run('npm', 'run', 'generate', '--', 'groups', '--fields=name:string');
  clone.run('npm', 'run', 'generate', '--', 'items', `--fields=${FIELDS.join()}`);
  clone.run('npm', 'run', 'openapi');
  clone.run('npm', 'run', 'build');
  server = await startServer(directory, { ...EXPLAIN_SETTINGS, ...LOG_SETTINGS });
  stops.unshift(() => server.stop());
  const node = (program, ...args) =>
    clone.run('env', `DATABASE_URL=${server.url}`, process.execPath, `dist/${program}.js`, ...args);
  node('migrate');
  const { key } = JSON.parse(node('api-keys', 'create', '--name', 'plans', '--scopes', 'items:read', '--json'));

  client = new pg.Client(server.url);
  await client.connect();
  stops.unshift(() => client.end());
  const { rows: columns } = await client.query(COLUMNS);
  await client.query(
    `INSERT INTO groups (id, name) SELECT ${VALUES.uuid}, 'group ' || n FROM generate_series(0, ${GROUPS - 1}) AS n`,
  );
  await fill(
    client,
    'items',
    `INSERT INTO items (group_id, ${columns.map(({ name }) => `"${name}"`).join()})
     SELECT ${VALUES.uuid.replace('to_hex(n)', `to_hex(n % ${GROUPS})`)}, ${columns.map(({ type }) => VALUES[type]).join()}
       FROM generate_series($1::bigint, $2::bigint) AS n`,
    ROWS,
  );

  const env = { HOST: '127.0.0.1', RATE_LIMIT_PER_MINUTE: '0' };
  const program = join(clone.folder, 'dist', 'main.js');
  const service = await (await Service.start({ program, env }, { databaseUrl: server.url })).ready();
  stops.unshift(() => service.stop());
  get = (path) => send(service.url, { path, headers: { 'x-api-key': key } });
});

after(async () => {
  for (const stop of stops) await stop();
  clone.remove();
});

/** Returns each sort order with each filter and search, first and deep page. */
async function listPaths() {
  const { parameters } = JSON.parse(readFileSync(join(clone.folder, 'openapi.json'), 'utf8')).paths['/v1/items'].get;
  const sorts = parameters.find(({ name }) => name === 'sort').schema.enum;
  const names = parameters.filter((each) => each.in === 'query').map(({ name }) => name);
  // Not a multiple of 1000, whose integer is the lowest.
  const middle = JSON.parse((await get(`/v1/items/${idOf(ROWS / 2 + 250)}`)).answer);
  const filters = names
    .filter((name) => !['limit', 'cursor', 'sort', 'q'].includes(name))
    .flatMap((name) => (middle[name] === true ? [{ [name]: true }, { [name]: false }] : { [name]: middle[name] }));
  const searches = ['value', 'va', middle.stringValue].map((q) => ({ q }));
  assert.ok(sorts.length >= 18 && filters.length >= 5 && names.includes('q'), names.join());
  return sorts.flatMap((sort) =>
    [{}, ...filters, ...searches].flatMap((filter) => {
      const cursor = cursorOf([sort, filter], String(middle[sort.replace('-', '')]), middle.id);
      return [{}, { cursor }].map((page) => `/v1/items?${new URLSearchParams({ ...filter, sort, ...page })}`);
    }),
  );
}

test('no list of a generated resource scans its table', async () => {
  const paths = await listPaths();
  const log = planLogOf(directory);
  for (const [index, path] of paths.entries()) {
    const { status, answer } = await get(path);
    assert.equal(status, 200, `${path}: ${answer}`);
    await client.query(`SELECT ${index + 1} AS request`); // its plan ends those of the request
  }
  assert.deepEqual(problemsIn(await readPlans(log, paths), 'items'), []);
  console.log(`${paths.length} lists of ${ROWS} rows`);
});
