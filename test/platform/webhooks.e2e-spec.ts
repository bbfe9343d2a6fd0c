import { createHmac, timingSafeEqual } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Controller, Headers, HttpCode, Post, RawBody } from '@nestjs/common';
import { ApiConsumes } from '@nestjs/swagger';
import { Public } from '../../src/platform/auth/auth.decorators.js';
import { defineProblem, Problem } from '../../src/platform/problems/problem.js';
import { advanceClock } from '../support/clock.js';
import { createTestApp, type TestApp } from '../support/test-app.js';

const signatureInvalid = defineProblem('test_signature_invalid', 401, 'Invalid signature');

const TOLERANCE_S = 300;
const GITHUB_SECRET = "It's a Secret to Everybody";
const SLACK_SECRET = '8f742231b10e8888abcd99yyyzzz85a5';
/** During a rotation, a sender signs with the old and the new secret. */
const STRIPE_SECRETS = ['whsec_new', 'whsec_old'];

const hmac = (secret: string, ...parts: (string | Buffer)[]) =>
  parts.reduce((digest, part) => digest.update(part), createHmac('sha256', secret)).digest('hex');

/** Compares in constant time. The lengths are no secret. */
function isEqual(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** A signature with an old or a future timestamp may be a replay. */
const isRecent = (timestamp: string) =>
  /^\d{1,12}$/.test(timestamp) && Math.abs(Date.now() / 1000 - Number(timestamp)) <= TOLERANCE_S;

/** https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries */
const isFromGitHub = (bytes: Buffer, signature = '') => isEqual(signature, `sha256=${hmac(GITHUB_SECRET, bytes)}`);

/** https://docs.slack.dev/authentication/verifying-requests-from-slack */
const isFromSlack = (bytes: Buffer, timestamp = '', signature = '') =>
  isRecent(timestamp) && isEqual(signature, `v0=${hmac(SLACK_SECRET, `v0:${timestamp}:`, bytes)}`);

/** https://docs.stripe.com/webhooks/signature. The header has a signature per secret: t=1492774577,v1=...,v1=... */
function isFromStripe(bytes: Buffer, header = ''): boolean {
  const fields = header.split(',').map((field) => field.split('=', 2) as [string, string?]);
  const [timestamp = ''] = fields.flatMap(([name, value = '']) => (name === 't' ? [value] : []));
  const signatures = fields.flatMap(([name, value = '']) => (name === 'v1' ? [value] : []));
  const expected = STRIPE_SECRETS.map((secret) => hmac(secret, `${timestamp}.`, bytes));
  return isRecent(timestamp) && signatures.some((each) => expected.some((signature) => isEqual(each, signature)));
}

@Controller('webhooks')
@Public() // the signature authenticates the sender
class WebhooksController {
  @Post('github')
  @HttpCode(200)
  @ApiConsumes('application/json', 'application/x-www-form-urlencoded')
  github(@RawBody() bytes: Buffer, @Headers('X-Hub-Signature-256') signature?: string): string {
    if (!isFromGitHub(bytes, signature)) throw new Problem(signatureInvalid);
    return bytes.toString();
  }

  @Post('slack')
  @HttpCode(200)
  @ApiConsumes('application/x-www-form-urlencoded')
  slack(
    @RawBody() bytes: Buffer,
    @Headers('X-Slack-Request-Timestamp') timestamp?: string,
    @Headers('X-Slack-Signature') signature?: string,
  ): object {
    if (!isFromSlack(bytes, timestamp, signature)) throw new Problem(signatureInvalid);
    return { text: new URLSearchParams(bytes.toString()).get('command') };
  }

  @Post('stripe')
  @HttpCode(200)
  stripe(@RawBody() bytes: Buffer, @Headers('Stripe-Signature') signature?: string): object {
    if (!isFromStripe(bytes, signature)) throw new Problem(signatureInvalid);
    const { type } = JSON.parse(bytes.toString()) as { type: string };
    return { type };
  }
}

let sut: TestApp;
beforeAll(async () => {
  sut = await createTestApp({ controllers: [WebhooksController] });
});
afterEach(() => {
  jest.restoreAllMocks();
});
afterAll(() => sut.close());

const post = (sender: string, type: string, body: string, headers: Record<string, string>) =>
  fetch(`${sut.url}/webhooks/${sender}`, { method: 'POST', headers: { 'Content-Type': type, ...headers }, body });

/** Sets the clock to a Unix time in seconds. */
const setTime = (seconds: number) => advanceClock(seconds - Date.now() / 1000);

describe('a webhook of GitHub', () => {
  // The example of the documentation.
  const body = 'Hello, World!';
  const signature = 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17';
  const send = (headers: Record<string, string>, text = body) => post('github', 'application/json', text, headers);

  it('with its signature is accepted', async () => {
    expect((await send({ 'X-Hub-Signature-256': signature })).status).toBe(200);
  });

  it.each([
    ['another body', `${body} `, { 'X-Hub-Signature-256': signature }],
    ['another signature', body, { 'X-Hub-Signature-256': signature.replace('7', '8') }],
    ['a shorter signature', body, { 'X-Hub-Signature-256': signature.slice(0, -1) }],
    ['no signature', body, {}],
    ['a character outside of ASCII', body, { 'X-Hub-Signature-256': signature.replace('7', '\u00e9') }],
    ['two signatures', body, { 'X-Hub-Signature-256': `${signature}, ${signature}` }],
    ['the signature of another body, and none', '', { 'X-Hub-Signature-256': signature }],
  ])('with %s is rejected', async (_, text, headers) => {
    const response = await send(headers, text);
    expect(await response.json()).toMatchObject({ status: 401, code: 'test_signature_invalid' });
  });
});

describe('a slash command of Slack', () => {
  // The example of the documentation.
  const body =
    'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar' +
    '&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com' +
    '%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d' +
    '10d2c447fce8b6703c';
  const timestamp = 1_531_420_618;
  const headers = {
    'X-Slack-Request-Timestamp': String(timestamp),
    'X-Slack-Signature': 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
  };
  const send = (given: Record<string, string>) => post('slack', 'application/x-www-form-urlencoded', body, given);

  it('with its signature is accepted for five minutes', async () => {
    setTime(timestamp + 299);
    const response = await send(headers);
    expect(await response.json()).toEqual({ text: '/webhook-collect' });
  });

  it.each([301, -301])('of %i s ago is rejected', async (age) => {
    setTime(timestamp + age);
    expect((await send(headers)).status).toBe(401);
  });

  it.each(['x', '', '1e9'])('with the timestamp %j is rejected', async (given) => {
    setTime(timestamp);
    expect((await send({ ...headers, 'X-Slack-Request-Timestamp': given })).status).toBe(401);
  });
});

describe('an event of Stripe', () => {
  const body = '{\n  "id": "evt_1NG8Du2eZvKYlo2CUI79vXWy",\n  "object": "event",\n  "type": "setup_intent.created"\n}';
  const time = 1_492_774_577;
  const sign = (secret: string, timestamp = time) => `v1=${hmac(secret, `${timestamp}.${body}`)}`;
  const send = (header: string) =>
    post('stripe', 'application/json; charset=utf-8', body, { 'Stripe-Signature': header });

  it.each([
    ['one signature', `t=${time},${sign('whsec_new')}`],
    ['an older timestamp', `t=${time - 299},${sign('whsec_old', time - 299)}`],
    ['signatures of two secrets', `t=${time},${sign('whsec_other')},${sign('whsec_old')},v0=6ffbb59b2300aae63f272406`],
  ])('with %s is accepted', async (_, header) => {
    setTime(time);
    expect(await (await send(header)).json()).toEqual({ type: 'setup_intent.created' });
  });

  it.each([
    ['another secret', `t=${time},${sign('whsec_other')}`],
    ['another scheme', `t=${time},${sign('whsec_new').replace('v1', 'v0')}`],
    ['another timestamp', `t=${time + 1},${sign('whsec_new')}`],
    ['an old timestamp', `t=${time - 301},${sign('whsec_new', time - 301)}`],
    ['a valid signature under a second timestamp', `t=${time},t=${time + 1},${sign('whsec_new', time + 1)}`],
    ['no timestamp', sign('whsec_new')],
    ['a timestamp that is no number', `t=,${sign('whsec_new')}`],
    ['an empty signature', `t=${time},v1=`],
    ['nothing', ''],
  ])('with %s is rejected', async (_, header) => {
    setTime(time);
    expect((await send(header)).status).toBe(401);
  });
});
