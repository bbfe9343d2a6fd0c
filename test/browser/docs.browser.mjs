// `npm run test:browser`: uses Swagger UI in Chromium with an API key, and signed in at an OpenID provider.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium } from 'playwright-core';
import { freePort } from '../../tools/dev/postgres.mjs';
import globalSetup from '../support/global-setup.mjs';
import globalTeardown from '../support/global-teardown.mjs';
import { AUDIENCE, startIssuer } from '../support/issuer.ts';
import { startProgram } from '../support/program.ts';
import { createTestDatabase } from '../support/test-database.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome', 'chrome.exe'];
const FOLDERS = [...process.env.PATH.split(delimiter), 'C:\\Program Files\\Google\\Chrome\\Application'];
const MACOS = '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome';
const ARGS = ['no-sandbox', 'disable-gpu', 'disable-background-networking', 'disable-component-update', 'disable-sync'];

function findChromium() {
  const onPath = FOLDERS.flatMap((folder) => NAMES.map((name) => join(folder, name)));
  const found = [process.env.CHROMIUM_PATH, MACOS, ...onPath].find((file) => file && existsSync(file));
  if (!found) throw new Error('Chromium is not on PATH. Install it, or set CHROMIUM_PATH.');
  return found;
}

/** Opens the docs. Fails on console errors, failed requests, and requests to other origins than the known ones. */
async function withDocs(browser, url, known, use) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const errors = [];
  page.on('console', (message) => {
    if (/error|warning/.test(message.type())) errors.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => errors.push(`error: ${error.message}`));
  page.on('requestfailed', (request) => errors.push(`failed: ${request.url()}`));
  page.on('request', (request) => {
    if (!['data:', 'blob:', ...known].some((start) => request.url().startsWith(start))) {
      errors.push(`foreign: ${request.url()}`);
    }
  });
  page.on('response', (response) => {
    if (response.status() >= 400) errors.push(`${response.status()}: ${response.url()}`);
  });
  await page.goto(`${url}/docs`);
  await use(page);
  assert.deepEqual(errors, []);
  await context.close();
}

/** Executes GET /v1/me and returns the displayed status and body. */
async function executeMe(page) {
  const operation = page.locator('.opblock', { has: page.locator('[data-path="/v1/me"]') }).first();
  await operation.locator('.opblock-summary').click();
  await operation.getByRole('button', { name: 'Try it out' }).click();
  await operation.getByRole('button', { name: 'Execute' }).click();
  const response = operation.locator('.live-responses-table .response');
  await response.locator('.highlight-code, .microlight').first().waitFor();
  return `${await response.locator('.response-col_status').innerText()} ${await response.innerText()}`;
}

async function useApiKey(page, key) {
  await page.getByRole('button', { name: 'Authorize' }).click();
  const form = page.locator('.auth-container', { hasText: 'x-api-key' });
  await form.getByRole('textbox').fill(key);
  await form.getByRole('button', { name: 'Apply credentials' }).click();
  await page.locator('.close-modal').click();
  assert.match(await executeMe(page), /^200[^]*"kind": "api_key"/);
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
  assert.match(await executeMe(page), /^200[^]*"kind": "oidc"[^]*"name": "ada"[^]*"test-notes:read"/);
}

function createKey(databaseUrl) {
  const args = ['dist/api-keys.js', 'create', '--name', 'browser', '--scopes', 'none', '--json'];
  return JSON.parse(spawnSync(process.execPath, args, { env: { DATABASE_URL: databaseUrl } }).stdout).key;
}

const executablePath = findChromium();
const PORT = String(await freePort());
const url = `http://127.0.0.1:${PORT}`;
let browser, database, issuer, service;
try {
  await globalSetup();
  database = await createTestDatabase();
  issuer = await startIssuer({ redirectUri: `${url}/docs/oauth2-redirect.html` });
  browser = await chromium.launch({ executablePath, args: ARGS.map((name) => `--${name}`) });
  const env = { DATABASE_URL: database.url, PORT, DOCS_ENABLED: 'true' };

  service = await startProgram(env);
  await withDocs(browser, url, [url], (page) => useApiKey(page, createKey(database.url)));
  await service.stop();

  service = await startProgram({ ...env, OIDC_ISSUERS: issuer.url, OIDC_AUDIENCE: AUDIENCE, OIDC_CLIENT_ID: 'docs' });
  await withDocs(browser, url, [url, issuer.url], signIn);
  console.log('Swagger UI works with an API key and with a sign-in at an OpenID provider.');
} finally {
  await browser?.close();
  await service?.stop();
  issuer?.stop();
  await database?.drop();
  await globalTeardown();
}
