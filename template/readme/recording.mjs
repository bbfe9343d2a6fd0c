// `node template/readme/recording.mjs`: records recording.svg for README.md. Generates a resource in a fresh clone while
// `npm run dev` runs there, and calls its route as soon as it responds. Use an idle machine. Exit codes: 0 success, 1 failure.
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../tools/dev/postgres.mjs';
import { freshCopy } from '../support/fresh-copy.mjs';

const FILE = 'template/readme/recording.svg';
const GENERATE = 'npx nest generate resource orders number:string:unique,amountCents:int';
const ORDER = { number: 'A-4711', amountCents: 1250 };
const TIMEOUT_MS = 60_000;
/** Pixels. */
const CHARACTER = 7.85;
const LINE = 19;
const COLUMNS = 108;

const { DATABASE_URL: _, ...env } = process.env;
const clone = freshCopy('recording');
const url = `http://127.0.0.1:${await freePort()}`;
const dev = spawn('npm', ['run', 'dev'], {
  cwd: clone.folder,
  env: { ...env, PORT: new URL(url).port },
  detached: true,
  stdio: 'ignore',
});
try {
  await until(() => fetch(`${url}/health/ready`));
  const lines = await record();
  writeFileSync(FILE, draw(lines));
  console.log(`${FILE}: the route responds after ${(lines.at(-1).at / 1000).toFixed(1)} s`);
} finally {
  process.kill(-Number(dev.pid), 'SIGTERM');
  if (dev.exitCode === null) await new Promise((done) => dev.once('exit', done));
  clone.remove();
}

/** @returns the lines of the terminal, each with its time in milliseconds after the first command */
async function record() {
  const start = performance.now();
  const lines = [];
  const add = (text, isCommand = false) =>
    lines.push({ at: Math.round(performance.now() - start), text: text.slice(0, COLUMNS), isCommand });

  add(`$ ${GENERATE}`, true);
  const [command, ...args] = GENERATE.split(' ');
  const generator = spawn(command, args, { cwd: clone.folder, env, stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of createInterface({ input: generator.stdout })) if (line.trim()) add(line);

  const headers = {
    'Content-Type': 'application/json',
    'x-api-key': readFileSync(join(clone.folder, '.data/api-key'), 'utf8').trim(),
  };
  const body = JSON.stringify(ORDER);
  add(`$ curl -s localhost:8080/v1/orders -H "x-api-key: $KEY" -H 'Content-Type: application/json' -d '${body}'`, true);
  // The API key of the running service gets the new scopes at its restart.
  const response = await until(() => fetch(`${url}/v1/orders`, { method: 'POST', headers, body }));
  add(await response.text());
  return lines;
}

async function until(request) {
  for (const start = performance.now(); performance.now() - start < TIMEOUT_MS; await sleep(20)) {
    const response = await request().catch(() => undefined);
    if (response?.ok) return response;
    await response?.body?.cancel();
  }
  throw new Error(`No response within ${TIMEOUT_MS / 1000} s`);
}

/** Each line is hidden until its time. A viewer without animations shows all of them. */
function draw(lines) {
  const width = Math.ceil(COLUMNS * CHARACTER + 32);
  const height = lines.length * LINE + 32;
  const text = lines.map(({ at, text: line, isCommand }, index) => {
    const style = `animation-duration:${at}ms`;
    return `<text x="16" y="${(index + 1) * LINE + 8}" ${isCommand ? 'class="command" ' : ''}style="${style}">${escape(line)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<title>Generating a resource while npm run dev runs</title>
<style>
rect { fill: #0d1117 }
text { font: 13px ui-monospace, Menlo, Consolas, monospace; fill: #c9d1d9; white-space: pre; animation-name: hidden }
.command { fill: #7ee787 }
@keyframes hidden { from, to { opacity: 0 } }
</style>
<rect width="100%" height="100%" rx="8"/>
${text.join('\n')}
</svg>
`;
}

function escape(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
