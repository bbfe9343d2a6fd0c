// `npm start` and `npm run dev` in a fresh clone: options, the debugger, and the configurations of .vscode/launch.json.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { freePort } from '../../tools/dev/postgres.mjs';
import { freshCopy } from '../support/fresh-copy.mjs';

const clone = freshCopy('start');
const groups = [];
after(() => {
  for (const pid of groups) if (spawnSync('pgrep', ['-g', pid]).status === 0) process.kill(-pid, 'SIGKILL');
  clone.remove();
});

const { NODE_TEST_CONTEXT: _, DATABASE_URL: __, ...env } = process.env;

/** Runs a script in its own process group, like a terminal. */
async function start(script, args, more = {}) {
  const port = await freePort();
  const child = spawn('npm', ['run', '--silent', script, '--', ...args], {
    cwd: clone.folder,
    env: { ...env, PORT: String(port), HOST: '127.0.0.1', ...more },
    detached: true,
  });
  groups.push(Number(child.pid));
  const service = {
    url: `http://127.0.0.1:${port}`,
    output: '',
    /** Resolves as soon as the output matches. */
    async printed(pattern) {
      while (!pattern.test(service.output)) {
        if (child.exitCode !== null) throw new Error(`npm run ${script} ended:\n${service.output}`);
        await new Promise((resolve) => child.stdout.once('data', resolve));
      }
    },
    /** As Ctrl-C does, ends the whole process group, or only npm. */
    async stop({ signal = 'SIGINT', pid = -Number(child.pid) } = {}) {
      process.kill(pid, signal);
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      while (spawnSync('pgrep', ['-f', clone.folder]).status === 0) await setTimeout(100);
    },
    pid: child.pid,
  };
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (service.output += data));
  child.stderr.on('data', () => child.stdout.emit('data', ''));
  return service;
}

/** The processes that a debugger can attach to. */
const targets = async (port) => (await fetch(`http://127.0.0.1:${port}/json`)).json();

describe('a wrong option', () => {
  for (const script of ['start', 'dev']) {
    test(`npm run ${script} -- --inspekt starts nothing`, () => {
      const { status, output } = clone.attempt('npm', 'run', '--silent', script, '--', '--inspekt');
      assert.equal(status, 1);
      assert.match(output, /^Unknown option '--inspekt'\. Usage: npm start.*\n$/);
      for (const folder of ['.data', 'build', 'dist']) assert.ok(!existsSync(join(clone.folder, folder)), folder);
    });
  }
});

describe('Node options', { timeout: 300_000 }, () => {
  for (const [script, program] of [
    ['start', 'dist/main.js'],
    ['dev', 'build/main.js'],
  ]) {
    test(`npm run ${script} -- --inspect --cpu-prof: only the service has them`, async () => {
      const port = await freePort();
      const service = await start(script, [
        `--inspect=127.0.0.1:${port}`,
        '--cpu-prof',
        '--cpu-prof-dir=.data/profile',
      ]);
      await service.printed(/API key/);
      const [target, ...others] = await targets(port);
      assert.ok(target.url.endsWith(`/${program}`), target.url);
      assert.deepEqual(others, []);
      assert.equal(service.output.match(/Debugger listening/g).length, 1);
      await service.stop();
      assert.equal(readdirSync(join(clone.folder, '.data/profile')).length, script === 'start' ? 1 : 2);
    });
  }

  test('npm start ends although its service waits for a debugger', { timeout: 60_000 }, async () => {
    const service = await start('start', [`--inspect-wait=127.0.0.1:${await freePort()}`], {
      SHUTDOWN_TIMEOUT_MS: '1',
    });
    await service.printed(/Debugger listening/);
    await service.stop({ signal: 'SIGTERM', pid: service.pid });
  });
});

describe('.vscode/launch.json', () => {
  const text = readFileSync('.vscode/launch.json', 'utf8').replaceAll(/^ *\/\/.*\n/gm, '');
  const [attach, debugTest] = JSON.parse(text).configurations;

  test('attaches to the port of --inspect, with source maps of build/', () => {
    assert.equal(attach.port, 9229);
    assert.deepEqual(attach.outFiles, ['${workspaceFolder}/build/**/*.js']);
  });

  test('runs the current test file', () => {
    const file = 'src/platform/logging/trace.spec.ts';
    const args = debugTest.runtimeArgs.map((arg) => arg.replace('${relativeFile}', file));
    const { status, output } = clone.attempt(debugTest.runtimeExecutable, ...args);
    assert.equal(status, 0, output);
    assert.match(output, /PASS .*src\/platform\/logging\/trace\.spec\.ts[^]*Test Suites: 1 passed, 1 total/);
  });
});
