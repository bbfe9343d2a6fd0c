// The installation before `npm start` and others: obstacles that are known beforehand stop it within seconds.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

/** A clone before its first command. */
const folder = mkdtempSync(join(tmpdir(), 'install-'));
for (const path of ['package.json', 'package-lock.json', 'tools'])
  cpSync(path, join(folder, path), { recursive: true });
after(() => rmSync(folder, { recursive: true }));

/** Runs install.mjs as npm does before the script of the event. */
function install(event, env = {}, ...options) {
  const { DATABASE_URL: _, PORT: __, HOST: ___, ...inherited } = process.env;
  const npm = { npm_lifecycle_event: event, npm_node_execpath: process.execPath, npm_execpath: 'no-such-npm.js' };
  return spawnSync(process.execPath, [...options, 'tools/dev/install.mjs'], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...inherited, ...npm, ...env },
  });
}

/** Asserts that nothing was installed, and that the output is one line. */
function refuses(reason, ...args) {
  const { status, stdout, stderr } = install(...args);
  assert.equal(status, 1);
  assert.match(stdout + stderr, reason);
  assert.match(stdout + stderr, /^.+\n$/);
  assert.doesNotMatch(stdout + stderr, /secret/);
}

describe('the installation does not begin', () => {
  const server = createServer();
  before(() => once(server.listen(0, '127.0.0.1'), 'listening'));
  after(() => server.close());

  for (const event of ['prestart', 'predev']) {
    test(`while the port of ${event} is in use`, () => {
      refuses(/^Port \d+ is in use\. Set PORT/, event, { HOST: '127.0.0.1', PORT: String(server.address().port) });
    });
  }
  test('with an invalid PORT', () => refuses(/^PORT must be/, 'prestart', { PORT: '80secret' }));
  test('with an invalid HOST', () => refuses(/cannot listen on HOST/, 'prestart', { HOST: 'secret.invalid' }));
  test('with an invalid DATABASE_URL', () => refuses(/^DATABASE_URL must be/, 'pretest', { DATABASE_URL: 'secret' }));
  test('on a Node that is too old', () => {
    const older = join(folder, 'older.cjs');
    writeFileSync(older, `Object.defineProperty(process.versions, 'node', { value: '18.20.0' });`);
    refuses(/^Node 18\.20\.0 is too old\. Install Node 20\.20 or newer/, 'pretest', {}, '--require', older);
  });
  test('on a full disk', () => {
    const full = join(folder, 'full.cjs');
    writeFileSync(full, `require('node:fs').statfsSync = () => ({ bavail: 1, bsize: 4096 });`);
    refuses(/ MB left\. The installation needs 1500 MB/, 'pretest', {}, '--require', full);
  });
});

test('without an obstacle it runs npm ci, whose failure it reports', () => {
  const { status, stdout } = install('pretest');
  assert.equal(status, 1);
  assert.match(stdout, /^Installing dependencies \(npm ci\) …/);
  assert.ok(!existsSync(join(folder, 'node_modules')));
});
