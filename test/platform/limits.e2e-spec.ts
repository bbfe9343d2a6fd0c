import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Controller, Get } from '@nestjs/common';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Public } from '../../src/platform/auth/auth.decorators.js';
import { createTestApp, type TestApp } from '../support/test-app.js';

@Controller()
@Public()
class SlowController {
  @Get('slow')
  slow(): Promise<void> {
    return new Promise(() => undefined);
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
afterEach(() => sut.close());

describe('HANDLER_TIMEOUT_MS', () => {
  it('ends a slow handler with 503 and Retry-After', async () => {
    await start({ HANDLER_TIMEOUT_MS: '100' });
    const { body, headers } = await sut.anonymous.get('/slow').expect(503);
    expect(body.code).toBe('handler_timeout');
    expect(headers['retry-after']).toBe('1');
    await sut.http.get('/v1/me').expect(200);
  });

  it('closes the connection of a client that does not read its response', async () => {
    await start({ HANDLER_TIMEOUT_MS: '500' });
    const { port, hostname } = new URL(sut.url);
    const client = connect(Number(port), hostname).on('error', () => undefined);
    const [connection] = (await once(sut.app.getHttpServer(), 'connection')) as [Socket];
    client.write('GET /large HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(client, 'readable');
    await once(connection, 'close');
    expect(connection.destroyed).toBe(true);
    client.destroy();
  });
});
