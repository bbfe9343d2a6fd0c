// `npm run test:browser`: tests Swagger UI in Chromium with the headers of the service, with an API key and with a sign-in
// at an OpenID provider.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';
import { buildIfStale } from '../../tools/build/build.mjs';
import { freePort, startPostgres } from '../../tools/dev/postgres.mjs';
import { AUDIENCE, startIssuer } from '../support/issuer.ts';

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

async function startService(environment) {
  const env = { ...process.env, HOST: '127.0.0.1', LOG_FORMAT: 'json', ...environment };
  assert.equal(spawnSync(process.execPath, ['dist/migrate.js'], { env, stdio: 'inherit' }).status, 0);
  const service = spawn(process.execPath, ['dist/main.js'], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of createInterface({ input: service.stdout })) {
    if (line.includes('Connected to the database')) return () => service.kill();
  }
  throw new Error('The service did not start.');
}

function createKey(databaseUrl) {
  const args = ['dist/api-keys.js', 'create', '--name', 'browser', '--scopes', 'none', '--json'];
  const { stdout } = spawnSync(process.execPath, args, { env: { ...process.env, DATABASE_URL: databaseUrl } });
  return JSON.parse(stdout).key;
}

/** Opens the docs. Fails at the end if the browser reported an error or sent a request to another host. */
async function withDocs(browser, url, known, use) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const complaints = [];
  page.on(
    'console',
    (message) => /error|warning/.test(message.type()) && complaints.push(`console: ${message.text()}`),
  );
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
  page.on('requestfailed', (request) => complaints.push(`failed: ${request.url()}`));
  page.on('request', (request) => {
    if (!/^(data|blob):/.test(request.url()) && !known.some((origin) => request.url().startsWith(origin)))
      complaints.push(`foreign: ${request.url()}`);
  });
  page.on(
    'response',
    (response) => response.status() >= 400 && complaints.push(`${response.status()}: ${response.url()}`),
  );
  await page.goto(`${url}/docs`);
  await use(page);
  assert.deepEqual(complaints, []);
  await context.close();
}

/** Executes an operation and returns the displayed status and body of the response. */
async function execute(page, path) {
  const operation = page.locator('.opblock', { has: page.locator(`[data-path="${path}"]`) }).first();
  await operation.locator('.opblock-summary').click();
  await operation.getByRole('button', { name: 'Try it out' }).click();
  await operation.getByRole('button', { name: 'Execute' }).click();
  const answer = operation.locator('.live-responses-table .response');
  await answer.locator('.highlight-code, .microlight').first().waitFor();
  return `${await answer.locator('.response-col_status').innerText()} ${await answer.innerText()}`;
}

async function useApiKey(page, key) {
  await page.getByRole('button', { name: 'Authorize' }).click();
  const form = page.locator('.auth-container', { hasText: 'x-api-key' });
  await form.getByRole('textbox').fill(key);
  await form.getByRole('button', { name: 'Apply credentials' }).click();
  await page.locator('.close-modal').click();
  assert.match(await execute(page, '/v1/me'), /^200[^]*"kind": "api_key"/);
}

async function signIn(page) {
  await page.getByRole('button', { name: 'Authorize' }).click();
  const form = page.locator('.auth-container', { hasText: 'authorization_code' }).first();
  await form.getByText('select all').click();
  const opened = page.waitForEvent('popup');
  await form.getByRole('button', { name: 'Apply given OAuth2 credentials' }).click();
  const provider = await opened;
  await provider.getByPlaceholder('Enter any login').fill('ada');
  await provider.getByPlaceholder('and password').fill('password');
  await provider.getByRole('button', { name: 'Sign-in' }).click();
  const closed = provider.waitForEvent('close');
  await provider.getByRole('button', { name: 'Continue' }).click();
  await closed;
  await page.locator('.close-modal').click();
  assert.match(await execute(page, '/v1/me'), /^200[^]*"kind": "oidc"[^]*"name": "ada"[^]*"notes:read"/);
}

const executablePath = findChromium();
buildIfStale();
const port = await freePort();
const url = `http://127.0.0.1:${port}`;
const database = await startPostgres(mkdtempSync(join(tmpdir(), 'browser-postgres-')), { durable: false });
const issuer = await startIssuer({ redirectUri: `${url}/docs/oauth2-redirect.html` });
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
const common = { DATABASE_URL: database.url, PORT: String(port) };
let stop;
try {
  stop = await startService(common);
  await withDocs(browser, url, [url], (page) => useApiKey(page, createKey(database.url)));
  stop();
  stop = await startService({ ...common, OIDC_ISSUERS: issuer.url, OIDC_AUDIENCE: AUDIENCE, OIDC_CLIENT_ID: 'docs' });
  await withDocs(browser, url, [url, issuer.url], signIn);
  console.log('Swagger UI sent requests with an API key and with a token of an OpenID provider, without errors.');
} finally {
  stop?.();
  await browser.close();
  issuer.stop();
  await database.stop();
}
