// Runs `npm start` and the curl calls in README.md's console blocks, in a fresh copy of the repository. The responses must
// match the page, in which … matches any text.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { freePort } from '../../tools/dev/postgres.mjs';

const readme = readFileSync('README.md', 'utf8');
const copy = join(mkdtempSync(join(tmpdir(), 'readme-')), 'a fresh clone');
const port = await freePort();
let service;
let output = '';

before(
  async () => {
    const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { encoding: 'utf8' });
    for (const file of files.trim().split('\n')) cpSync(file, join(copy, file));
    const { DATABASE_URL: _, ...env } = process.env;
    service = spawn('npm', ['start'], { cwd: copy, env: { ...env, PORT: String(port) }, detached: true });
    for (const stream of [service.stdout, service.stderr]) stream.on('data', (data) => (output += data));
    await new Promise((resolve, reject) => {
      service.stdout.on('data', () => output.includes('curl ') && resolve());
      service.once('exit', () => reject(new Error(`npm start ended:\n${output}`)));
    });
  },
  { timeout: 300_000 },
);

after(async () => {
  service.removeAllListeners('exit');
  process.kill(-service.pid, 'SIGINT'); // Ctrl-C signals the process group
  if (service.exitCode === null) await once(service, 'exit');
  assert.equal(spawnSync('pgrep', ['-f', copy]).status, 1, 'Ctrl-C leaves nothing running');
  rmSync(copy, { recursive: true });
});

const calls = [...readme.matchAll(/```console\n(.*?)```/gs)].flatMap(([, block]) =>
  block
    .split(/^\$ /m)
    .slice(1)
    .map((call) => call.split(/\n(.*)/s)),
);
assert.ok(calls.length > 2);

// Exported variables are kept between the commands, as in one shell.
let exported = '';
for (const [command, answer] of calls) {
  if (command.startsWith('export ')) {
    exported += `${command}; `;
    continue;
  }
  void test(command, () => {
    const shown = answer.trim().split('…').map(RegExp.escape).join('.*');
    const line = exported + command.replaceAll('localhost:8080', `localhost:${port}`);
    const given = execFileSync('sh', ['-c', line], { cwd: copy, encoding: 'utf8' });
    assert.match(given, new RegExp(`^${shown}$`, 's'));
  });
}

void test('the printed development key works, and only its user can read the file', () => {
  const [command] = /^ *curl .*$/m.exec(output);
  assert.match(execFileSync('sh', ['-c', command], { encoding: 'utf8' }), /"kind":"api_key"/);
  const file = join(copy, '.data', 'api-key');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const lines = output.split('\n').filter((line) => line.startsWith('{'));
  assert.ok(lines.length > 0);
  assert.ok(!lines.join().includes(readFileSync(file, 'utf8').trim()));
});
