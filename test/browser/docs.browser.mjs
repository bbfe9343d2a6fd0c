// `npm run test:browser`: Swagger UI in a real Chromium, under the headers that the service sends.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';
import { buildIfStale } from '../../dev/build.mjs';
import { startPostgres } from '../../dev/postgres.mjs';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome', 'chrome.exe'];
const PLACES = [...process.env.PATH.split(delimiter), 'C:\\Program Files\\Google\\Chrome\\Application'];

function findChromium() {
  const inPlaces = PLACES.flatMap((place) => NAMES.map((name) => join(place, name)));
  const candidates = [
    process.env.CHROMIUM_PATH,
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    ...inPlaces,
  ];
  const found = candidates.find((file) => file && existsSync(file));
  if (!found) throw new Error('There is no Chromium on PATH. Install it, or set CHROMIUM_PATH.');
  return found;
}

async function startService(databaseUrl) {
  const env = { ...process.env, DATABASE_URL: databaseUrl, PORT: '0', HOST: '127.0.0.1', LOG_FORMAT: 'json' };
  assert.equal(spawnSync(process.execPath, ['dist/migrate.js'], { env, stdio: 'inherit' }).status, 0);
  const service = spawn(process.execPath, ['dist/main.js'], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of createInterface({ input: service.stdout })) {
    const url = /Listening on (http:[^"]+)/.exec(line)?.[1];
    if (url) return { url, stop: () => service.kill() };
  }
  throw new Error('The service did not start.');
}

async function readDocs(url, executablePath) {
  const browser = await chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  try {
    const page = await browser.newPage();
    const complaints = [];
    page.on('console', (message) => message.type() !== 'log' && complaints.push(`console: ${message.text()}`));
    page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
    page.on('requestfailed', (request) => complaints.push(`failed: ${request.url()}`));
    page.on('request', (request) => {
      if (!/^(data|blob):/.test(request.url()) && !request.url().startsWith(url))
        complaints.push(`foreign: ${request.url()}`);
    });
    page.on(
      'response',
      (response) => response.status() >= 400 && complaints.push(`${response.status()}: ${response.url()}`),
    );

    await page.goto(`${url}/docs`);
    const operation = page.locator('.opblock', { hasText: '/v1/vouchers/stats' });
    await operation.locator('.opblock-summary').click();
    await operation.getByRole('button', { name: 'Try it out' }).click();
    await operation.getByRole('button', { name: 'Execute' }).click();
    const answer = operation.locator('.live-responses-table .response');
    await answer.getByText('"total": 0').waitFor();
    assert.match(await answer.locator('.response-col_status').innerText(), /^200/);
    assert.deepEqual(complaints, []);
  } finally {
    await browser.close();
  }
}

const executablePath = findChromium();
buildIfStale();
const database = await startPostgres(mkdtempSync(join(tmpdir(), 'browser-postgres-')), { durable: false });
const service = await startService(database.url);
try {
  await readDocs(service.url, executablePath);
  console.log('Swagger UI answered a request without a complaint.');
} finally {
  service.stop();
  await database.stop();
}
