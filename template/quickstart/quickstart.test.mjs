// Runs the quick start of README.md in a fresh clone, then every command of AGENTS.md and the skills.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { freePort } from '../../tools/dev/postgres.mjs';
import { freshCopy } from '../support/fresh-copy.mjs';

const SKILLS = '.agents/skills';
const GUIDES = ['AGENTS.md', ...readdirSync(SKILLS).map((name) => `${SKILLS}/${name}/SKILL.md`)];

const clone = freshCopy('quickstart');
after(() => clone.remove());
const read = (file) => readFileSync(join(clone.folder, file), 'utf8');

function passes(line) {
  const { status, output } = clone.attempt('sh', '-c', line);
  assert.equal(status, 0, `${line}\n${output}`);
}

const [, quickstart] = /```sh quickstart\n(.*?)```/s.exec(readFileSync('README.md', 'utf8'));
const lines = quickstart.trim().split('\n');

test('quick start of README.md', { timeout: 600_000 }, async (context) => {
  assert.ok(lines.shift().startsWith('git clone'), 'the first line must be git clone');
  assert.equal(lines.shift(), 'npm ci', 'the second line must be npm ci');
  assert.equal(lines.pop(), 'npm start');
  for (const line of lines) await context.test(line, () => passes(line));
  assert.deepEqual(clone.changes(), []);
  await context.test('npm start', () => startsWith('npm', 'start'));
});

/** Runs a long-running command until it serves requests, then stops it like Ctrl-C. */
async function startsWith(...command) {
  const { DATABASE_URL: _, NODE_TEST_CONTEXT: __, ...env } = process.env;
  const [name, ...args] = command;
  const options = { cwd: clone.folder, env: { ...env, PORT: String(await freePort()) }, detached: true };
  const service = spawn(name, args, options);
  let output = '';
  for (const stream of [service.stdout, service.stderr]) stream.on('data', (data) => (output += data));
  await new Promise((resolve, reject) => {
    service.stdout.on('data', () => output.includes('API key') && resolve());
    service.once('exit', () => reject(new Error(`${command.join(' ')} ended:\n${output}`)));
  });
  service.removeAllListeners('exit');
  process.kill(-Number(service.pid), 'SIGINT'); // Ctrl-C signals the process group
  if (service.exitCode === null) await once(service, 'exit');
}

/** Slow commands that other tests run. */
const ELSEWHERE = {
  'npm test': '.ci/run',
  'npm run check': '.ci/run',
  'npm start': 'template/readme/readme.test.mjs',
  'npm run init -- --name=orders --remove-example --yes --json': 'template/pipeline/agent.test.mjs',
  'npm run deploy -- --watch --json': 'template/pipeline/agent.test.mjs',
  'npm run deploy -- --rollback --watch --json': 'template/pipeline/agent.test.mjs',
};

test('every command of AGENTS.md and the skills', { timeout: 600_000 }, async (context) => {
  const text = GUIDES.map((file) => readFileSync(file, 'utf8')).join('\n');
  const commands = [...text.matchAll(/(?:^ *|`)(np[mx] [^`\n]+)/gm)].map(([, command]) => command);
  assert.ok(commands.length > 10);
  for (const command of new Set(commands)) {
    if (ELSEWHERE[command]) {
      assert.ok(readFileSync(ELSEWHERE[command], 'utf8').includes(command), command);
      continue;
    }
    await context.test(command, () => {
      if (command === 'npm run dev') return startsWith('npm', 'run', 'dev');
      if (command.includes('db:generate')) addColumn(command);
      return passes(command);
    });
  }
});

/** There is something to generate, each time. */
function addColumn(command) {
  const file = 'src/customers/customer.entity.ts';
  const name = command.split(' -- ')[1].replaceAll('-', '');
  const column = `@Column({ type: 'text', nullable: true })\n  ${name}!: string | null;\n\n  @VersionColumn`;
  writeFileSync(join(clone.folder, file), read(file).replace('@VersionColumn', column));
}

test('an assistant reads less than 4,000 words before it adds a resource', () => {
  const files = [...GUIDES, 'CONTRIBUTING.md', 'docs/development.md', 'src/app.module.ts'];
  // The how-to sections are for other changes.
  const words = files.flatMap((file) => readFileSync(file, 'utf8').split('## Common changes')[0].split(/\s+/));
  console.log(`${words.length} words in ${files.join(', ')}`);
  assert.ok(words.length < 4_000);
});
