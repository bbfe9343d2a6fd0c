// Adds packages, files, workers, programs and a required variable to a fresh clone. Then builds it, and runs a copy of dist/.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { freePort, startPostgres } from '../../tools/dev/postgres.mjs';
import { freshCopy } from '../support/fresh-copy.mjs';

const PACKAGES = [
  ...['config', 'schedule', 'event-emitter', 'cache-manager', 'axios', 'cqrs', 'bullmq'].map(
    (name) => `@nestjs/${name}`,
  ),
  ...['cache-manager', 'axios', 'bullmq', 'bcrypt', 'sharp', '@types/bcrypt'],
];

const clone = freshCopy('growth');
const folder = mkdtempSync(join(tmpdir(), 'growth-'));
const effects = join(folder, 'effects');
const dist = join(folder, 'dist');
const edit = (file, change) => {
  const path = join(clone.folder, file);
  writeFileSync(path, change(readFileSync(path, 'utf8')));
};
const bundle = (settings) =>
  edit('package.json', (text) => `${JSON.stringify({ ...JSON.parse(text), bundle: settings }, undefined, 2)}\n`);
const build = () => clone.attempt('env', `EFFECTS_FILE=${effects}`, 'npm', 'run', 'build');
let database;

before(async () => {
  clone.run('npm', 'install', '--ignore-scripts', '--no-audit', '--no-fund', ...PACKAGES);
  cpSync('template/growth/service', clone.folder, { recursive: true });
  edit('src/app.module.ts', (text) =>
    text
      .replace('import { migrations', "import { GrowthModule } from './growth/growth.module.js';\nimport { migrations")
      .replace('imports: [', 'imports: [GrowthModule, '),
  );
  edit('src/platform/config/env.ts', (text) =>
    text.replace(
      'export class Env {',
      `export class Env {
  @Matches(/^pay_/, { message: 'must be set to the key of the payment provider' })
  PAYMENT_KEY!: string;
`,
    ),
  );
  // Knip does not see a module whose name a request chooses.
  edit('knip.json', (text) => text.replace('"entry": [', '"entry": ["src/growth/formats/*.ts", '));
  edit('.env.example', (text) => `${text}\n# The key of the payment provider\nPAYMENT_KEY=pay_example\n`);
  database = await startPostgres(join(folder, 'postgres'), { durable: false });
});

after(async () => {
  await database?.stop();
  clone.remove();
  rmSync(folder, { recursive: true });
});

test('a build without the settings names each file, the reason and the remedy', () => {
  const { status, output } = build();
  assert.equal(status, 1, output);
  assert.match(
    output,
    /src\/growth\/files\.controller\.ts:\d+: documents\/terms\.txt is outside of src\/\. .*"folders": \["documents"\]/,
  );
  bundle({ programs: ['migrate', 'api-keys', 'report'], folders: ['documents'] });
  const next = build();
  assert.equal(next.status, 1, next.output);
  for (const name of ['bcrypt', 'sharp']) {
    assert.match(
      next.output,
      new RegExp(`src/growth/packages.controller.ts: ${name} has native code.*"external": \\["${name}"\\]`),
    );
  }
});

test('a build with the settings needs no configuration, and runs no code of a feature', () => {
  bundle({
    programs: ['migrate', 'api-keys', 'report'],
    external: ['bcrypt', 'sharp'],
    folders: ['documents'],
    maxMegabytes: 60,
  });
  const { status, output } = build();
  assert.equal(status, 0, output);
  assert.doesNotMatch(output, /Warning/);
  assert.equal(existsSync(effects), false);
  assert.ok(existsSync(join(clone.folder, 'dist/app.cache')));
});

test('a copy of dist/ serves every route in production', { timeout: 120_000 }, async () => {
  cpSync(join(clone.folder, 'dist'), dist, { recursive: true, verbatimSymlinks: true });
  const port = String(await freePort());
  const env = { PATH: '/nowhere', DATABASE_URL: database.url, NODE_ENV: 'production', PORT: port, HOST: '127.0.0.1' };
  const run = (program, more) =>
    spawn(process.execPath, [program], { cwd: dist, env: { ...env, ...more }, stdio: ['ignore', 'pipe', 'inherit'] });

  assert.equal((await once(run('migrate.js'), 'exit'))[0], 0);
  assert.equal(String(await run('report.js').stdout.toArray()).trim(), 'report ca978112');

  const service = run('main.js', { PAYMENT_KEY: 'pay_1', SYSTEM_IS_UP: 'yes', EFFECTS_FILE: effects });
  service.stdout.resume();
  const url = `http://127.0.0.1:${port}`;
  while (!(await fetch(`${url}/health/ready`).catch(() => undefined))?.ok) {
    assert.equal(service.exitCode, null);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const ask = async (path, options) => {
    const response = await fetch(`${url}/v1/growth/${path}`, options);
    return (await response.json()).result;
  };
  try {
    assert.equal(await ask('asset'), 'Hello {{name}}');
    assert.equal(await ask('texts/welcome'), 'Hello {{name}}');
    assert.equal(await ask('document'), 'Terms');
    assert.equal(await ask('json'), 'France Paris');
    assert.equal(await ask('worker'), 'ca978112 false');
    assert.equal(await ask('import'), 'a,b');
    assert.equal(await ask('formats/tsv'), 'a\tb');
    assert.equal(await ask('variable'), 'pay_1');
    assert.deepEqual(await ask('native'), [60, 'PNG']);
    const packages = [
      'cached',
      'an event',
      'Hello Ada',
      'yearly',
      'function',
      'production',
      'BullQueue_mail',
      'MysqlDriver',
    ];
    assert.deepEqual(await ask('packages'), packages);
    const headers = { 'content-type': 'application/json' };
    const call = { method: 'POST', headers, body: JSON.stringify({ number: '+41 44 668 18 00' }) };
    assert.equal(await ask('call', call), '+41 44 668 18 00');
    const body = new FormData();
    body.set('file', new Blob(['four']), 'file.txt');
    assert.equal(await ask('upload', { method: 'POST', body }), 4);
    assert.equal(readFileSync(effects, 'utf8'), 'imported\nstarted\n');
  } finally {
    service.kill('SIGKILL');
  }
});

test('the tests of the service see the same', () => {
  const { status, output } = clone.attempt('npm', 'test', '--', 'test/api/growth', 'src/platform/config');
  assert.equal(status, 0, output);
});

for (const step of ['types', 'lint', 'unused']) {
  test(`npm run ${step} passes`, () => {
    clone.run('npx', 'prettier', '--write', 'src', 'test', 'package.json');
    const { status, output } = clone.attempt('node', '--run', step);
    assert.equal(status, 0, output);
  });
}
