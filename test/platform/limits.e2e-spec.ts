import { once } from 'node:events';
import { connect } from 'node:net';
import { Controller, Get } from '@nestjs/common';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Public } from '../../src/platform/auth/auth.decorators.js';
import { createTestApp, type TestApp } from '../support/test-app.js';
import { until } from '../support/until.js';

const pending: (() => void)[] = [];

@Controller()
@Public()
class SlowController {
  @Get('slow')
  slow(): Promise<void> {
    return new Promise((resolve) => pending.push(resolve));
  }

  @Get('large')
  large(): string {
    return 'x'.repeat(32 * 1024 ** 2); // more than the buffers of both sides
  }
}

let sut: TestApp;
const start = async (env: NodeJS.ProcessEnv) => {
  sut = await createTestApp({ env, controllers: [SlowController] });
};
afterEach(async () => {
  for (const resolve of pending.splice(0)) resolve();
  await sut.close();
});

describe('CONCURRENCY_LIMIT', () => {
  it('rejects further requests with 503 and Retry-After, except health probes', async () => {
    await start({ CONCURRENCY_LIMIT: '2' });
    const slow = [1, 2].map(() => sut.anonymous.get('/slow').then(({ status }) => status));
    await until(() => pending.length === 2);

    const { body, headers } = await sut.anonymous.get('/').expect(503);
    expect(body).toMatchObject({ code: 'overloaded', requestId: headers['x-request-id'] });
    expect(headers).toMatchObject({
      'content-type': expect.stringContaining('application/problem+json'),
      'retry-after': '1',
    });
    await sut.anonymous.get('/health/live').expect(200);
    await sut.anonymous.get('/health/ready').expect(200);

    for (const resolve of pending) resolve();
    expect(await Promise.all(slow)).toEqual([200, 200]);
    await sut.anonymous.get('/').expect(200);
  });
});

describe('HANDLER_TIMEOUT_MS', () => {
  it('ends a slow handler with 503 and Retry-After', async () => {
    await start({ HANDLER_TIMEOUT_MS: '100' });
    const { body, headers } = await sut.anonymous.get('/slow').expect(503);
    expect(body.code).toBe('handler_timeout');
    expect(headers['retry-after']).toBe('1');
    await sut.http.get('/v1/me').expect(200);
  });

  it('closes the connection of a client that does not read its response', async () => {
    await start({ HANDLER_TIMEOUT_MS: '500', CONCURRENCY_LIMIT: '1' });
    const { port, hostname } = new URL(sut.url);
    const socket = connect(Number(port), hostname).on('error', () => undefined);
    socket.write('GET /large HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(socket, 'readable');
    await sut.anonymous.get('/').expect(503);
    await until(async () => (await sut.anonymous.get('/')).status === 200);
    socket.resume();
    await once(socket, 'close');
  });
});
