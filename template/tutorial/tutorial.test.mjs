// Runs every command of docs/tutorial.md in a fresh clone, and its requests against `npm start`.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { freePort } from '../../tools/dev/postgres.mjs';
import { freshCopy } from '../support/fresh-copy.mjs';
import { blocksOf } from './blocks.mjs';

const expected = blocksOf('json').flatMap((text) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line)),
);

const clone = freshCopy('tutorial');
after(() => clone.remove());

test('the commands', { timeout: 900_000 }, async (context) => {
  const commands = blocksOf('sh tutorial').flatMap((text) => text.trim().split('\n'));
  assert.ok(commands.length > 5);
  for (const command of commands) {
    await context.test(command, () => {
      const { status, output } = clone.attempt('sh', '-c', command);
      assert.equal(status, 0, `${command}\n${output}`);
    });
  }
});

test('the requests', { timeout: 300_000 }, async () => {
  const { DATABASE_URL: _, NODE_TEST_CONTEXT: __, ...env } = process.env;
  const port = String(await freePort());
  const service = spawn('npm', ['start'], { cwd: clone.folder, env: { ...env, PORT: port }, detached: true });
  let log = '';
  for (const stream of [service.stdout, service.stderr]) stream.on('data', (data) => (log += data));
  try {
    await new Promise((resolve, reject) => {
      service.stdout.on('data', () => log.includes('API key') && resolve());
      service.once('exit', () => reject(new Error(`npm start ended:\n${log}`)));
    });
    service.removeAllListeners('exit');
    const script = blocksOf('sh requests').join('').replaceAll('localhost:8080', `localhost:${port}`);
    const { output } = clone.attempt('sh', '-c', script);
    const responses = output
      .replaceAll('}{', '}\n{')
      .split('\n')
      .map((line) => JSON.parse(line));
    const [line, orders, ...problems] = responses;
    assert.equal(line.quantity, 2);
    assert.equal(orders.items.length, 1);
    assert.equal(problems.length, expected.length);
    for (const [index, problem] of expected.entries()) assert.partialDeepStrictEqual(problems[index], problem);
  } finally {
    process.kill(-Number(service.pid), 'SIGINT'); // Ctrl-C signals the process group
    if (service.exitCode === null) await once(service, 'exit');
  }
});
