import { Injectable, Module } from '@nestjs/common';
import { IsOptional, IsString } from 'class-validator';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Tool } from '../../src/platform/mcp/tool.decorator.js';
import { givenApiKey } from '../support/credentials.js';
import { AUDIENCE, type Issuer, startIssuer } from '../support/issuer.js';
import { connectMcp, problemOf } from '../support/mcp-client.js';
import { createTestApp, type TestApp } from '../support/test-app.js';
import { until } from '../support/until.js';

class TextDto {
  @IsOptional()
  @IsString()
  text?: string;
}

const waiting: (() => void)[] = [];

@Injectable()
class TestTools {
  @Tool({ name: 'test_echo', title: 'Echo', description: 'Returns its text', scopes: ['test:echo'], result: TextDto })
  echo({ text }: TextDto): TextDto {
    return { text };
  }

  @Tool({ name: 'test_fail', title: 'Fail', description: 'Fails', scopes: [], result: TextDto })
  fail(): TextDto {
    throw new Error('a secret');
  }

  @Tool({ name: 'test_wait', title: 'Wait', description: 'Waits', scopes: [], result: TextDto })
  wait(): Promise<TextDto> {
    return new Promise((resolve) => waiting.push(() => resolve({})));
  }
}

@Module({ providers: [TestTools] })
class TestToolsModule {}

const lines: Record<string, unknown>[] = [];
const MCP_RESOURCE_URL = 'https://orders.example.com/mcp';
const METADATA = '/.well-known/oauth-protected-resource/mcp';
let sut: TestApp;
let issuer: Issuer;

beforeAll(async () => {
  issuer = await startIssuer();
  sut = await createTestApp({
    modules: [TestToolsModule],
    env: {
      LOG_LEVEL: 'info',
      CORS_ORIGINS: 'https://app.example.com',
      MCP_RESOURCE_URL,
      OIDC_ISSUERS: issuer.url,
      OIDC_AUDIENCE: AUDIENCE,
    },
    log: (line) => lines.push(JSON.parse(line) as Record<string, unknown>),
  });
});
afterAll(async () => {
  await sut.close();
  issuer.stop();
});

/** A message of revision 2025-11-25, which needs no handshake here. */
const message = (method: string, params: object = {}) => ({ jsonrpc: '2.0', id: 1, method, params });
const ACCEPT = 'application/json, text/event-stream';
const post = (body: object) => sut.http.post('/mcp').set('accept', ACCEPT).send(body);
const callOf = (name: string, input?: object) => message('tools/call', { name, arguments: input });

async function call(name: string, input?: object) {
  const { text } = await post(callOf(name, input)).expect(200);
  const [, data = ''] = /^data: (.*)$/m.exec(text) ?? [];
  return JSON.parse(data) as { result: Parameters<typeof problemOf>[0]; error?: { code: number; message: string } };
}

describe('POST /mcp', () => {
  it('requires a credential, and names the resource metadata', async () => {
    const { headers } = await sut.anonymous.post('/mcp').send(message('tools/list')).expect(401);
    expect(headers['www-authenticate']).toMatch(
      /^Bearer realm=".*", resource_metadata="https:\/\/orders\.example\.com\/\.well-known\/oauth-protected-resource\/mcp"$/,
    );
    const other = await sut.anonymous.get('/v1/me').expect(401);
    expect(other.headers['www-authenticate']).not.toContain('resource_metadata');
  });

  it('returns 403 with the missing scope', async () => {
    const apiKey = await givenApiKey(sut.database, { scopes: [] });
    const { headers, body } = await post(callOf('test_echo')).set('x-api-key', apiKey).expect(403);
    expect(headers['www-authenticate']).toMatch(
      /error="insufficient_scope", scope="test:echo", resource_metadata="https/,
    );
    expect(body).toMatchObject({ code: 'scope_missing', detail: 'Required scopes: test:echo' });
    await post(message('tools/list')).set('x-api-key', apiKey).expect(200);
    await post(callOf('test_fail')).set('x-api-key', apiKey).expect(200);
  });

  it('accepts only tokens for MCP_RESOURCE_URL, and other routes only tokens for OIDC_AUDIENCE', async () => {
    const [own, other] = [await issuer.sign({ aud: MCP_RESOURCE_URL }), await issuer.sign({ aud: AUDIENCE })];
    const list = (token: string) =>
      sut.anonymous.post('/mcp').auth(token, { type: 'bearer' }).send(message('tools/list'));
    await list(own).set('accept', ACCEPT).expect(200);
    const { headers } = await list(other).expect(401);
    expect(headers['www-authenticate']).toMatch(/error="invalid_token", resource_metadata="https/);
    await sut.anonymous.get('/v1/me').auth(own, { type: 'bearer' }).expect(401);
    await sut.anonymous.get('/v1/me').auth(other, { type: 'bearer' }).expect(200);
  });

  it('rejects other origins with 403', async () => {
    for (const [origin, status] of [
      ['https://evil.example.com', 403],
      ['null', 403],
      ['https://app.example.com', 200],
      ['https://orders.example.com', 200],
    ] as const) {
      await post(message('tools/list')).set('origin', origin).expect(status);
    }
  });

  it('returns 405 for other methods, and an error for other messages', async () => {
    await sut.http.get('/mcp').expect(405).expect('Allow', 'POST');
    await sut.http.delete('/mcp').expect(405);
    await post([message('tools/list')]).expect(400);
    await post({}).expect(400);
    expect((await call('nothing')).error).toMatchObject({ code: -32602, message: 'Unknown tool: nothing' });
    await post(message('tools/call', { name: { toString: 1 } })).expect(200);
    expect((await call('toString')).error).toMatchObject({ code: -32602 });
  });

  it('returns a generic error with the request id for an unknown failure, and logs it', async () => {
    const { result } = await call('test_fail');
    const problem = problemOf(result) as { requestId: string };
    expect(problem).toEqual({ title: 'Internal server error', code: 'internal_error', requestId: expect.any(String) });
    expect(lines).toContainEqual(
      expect.objectContaining({
        severity: 'ERROR',
        requestId: problem.requestId,
        stack_trace: expect.stringContaining('a secret'),
      }),
    );
    await until(() => lines.some((line) => line.code === 'internal_error' && line.path === '/mcp'));
  });

  it.each([
    ['a control character that PostgreSQL cannot store', { text: 'a\0b' }, '#/text'],
    ['an unpaired surrogate', { text: '\ud800' }, '#/text'],
    ['10,000 properties', Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`p${index}`, 1])), '#'],
    ['a list of arguments', [], '#'],
    ['a reserved name', { constructor: 1 }, '#/constructor'],
    ['another type', { text: 1 }, '#/text'],
  ])('returns an error result for %s', async (_, input, pointer) => {
    const { result, error } = await call('test_echo', input);
    if (error) expect(error.code).toBe(-32602);
    else expect(problemOf(result)).toMatchObject({ code: 'invalid_request', errors: [{ pointer }] });
  });

  it('returns 413 for 1 MB of arguments', async () => {
    await post(callOf('test_echo', { text: 'x'.repeat(1e6) })).expect(413);
  });

  it('frees the handler of a client that disconnects', async () => {
    const aborted = new AbortController();
    const body = JSON.stringify(callOf('test_wait'));
    const headers = {
      'x-api-key': sut.apiKey,
      'content-type': 'application/json',
      accept: ACCEPT,
    };
    const response = fetch(`${sut.url}/mcp`, { method: 'POST', headers, body, signal: aborted.signal });
    await until(() => waiting.length === 1);
    aborted.abort();
    await expect(response.then((each) => each.text())).rejects.toThrow('aborted');
    await until(() => lines.some(({ message: text }) => text === 'POST /mcp aborted'));
    waiting[0]!();
    expect((await call('test_echo', { text: 'a' })).result.structuredContent).toEqual({ text: 'a' });
  });

  it('offers the OpenAPI document and the problem types as resources', async () => {
    const client = await connectMcp('2026-07-28', [sut], { 'x-api-key': sut.apiKey });
    const { resources } = await client.listResources();
    expect(resources.map(({ name }) => name)).toEqual(['openapi', 'problems']);
    const [openapi, problems] = await Promise.all(resources.map(({ uri }) => client.readResource({ uri })));
    expect(openapi!.contents[0]).toMatchObject({ text: expect.stringContaining('"/v1/me"') });
    expect(problems!.contents[0]).toMatchObject({ text: expect.stringContaining('"code":"invalid_request"') });
    await client.close();
  });
});

describe(`GET ${METADATA}`, () => {
  it('names the resource and the scopes, without a credential', async () => {
    const { body } = await sut.anonymous.get(METADATA).expect(200);
    expect(body).toMatchObject({
      resource: MCP_RESOURCE_URL,
      authorization_servers: [issuer.url],
      scopes_supported: expect.arrayContaining(['test:echo']),
      bearer_methods_supported: ['header'],
    });
  });
});

describe('HANDLER_TIMEOUT_MS', () => {
  it('limits the time of a tool', async () => {
    const limited = await createTestApp({
      modules: [TestToolsModule],
      database: sut.database,
      env: { HANDLER_TIMEOUT_MS: '200' },
    });
    const { body } = await limited.http.post('/mcp').set('accept', ACCEPT).send(callOf('test_wait')).expect(503);
    expect(body.code).toBe('handler_timeout');
    await limited.close();
  });
});

describe('MCP_ENABLED=false', () => {
  it('returns 404', async () => {
    const disabled = await createTestApp({
      modules: [TestToolsModule],
      database: sut.database,
      env: { MCP_ENABLED: 'false' },
    });
    for (const path of ['/mcp', METADATA]) {
      const { body } = await disabled.anonymous.get(path).expect(404);
      expect(body).toMatchObject({ code: 'route_not_found' });
    }
    await disabled.http.post('/mcp').send(message('tools/list')).expect(404);
    await disabled.close();
  });
});
