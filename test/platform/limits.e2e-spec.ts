import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Controller, Get } from '@nestjs/common';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Observable } from 'rxjs';
import { Public } from '../../src/platform/auth/auth.decorators.js';
import { createTestApp, type TestApp } from '../support/test-app.js';
import { until } from '../support/until.js';

/** The number of subscriptions to the Observable of a handler. */
let polls = 0;

@Controller()
@Public()
class SlowController {
  @Get('slow')
  slow(): Promise<void> {
    return new Promise(() => undefined);
  }

  @Get('polling')
  poll(): Observable<never> {
    return new Observable(() => {
      polls++;
      return () => polls--;
    });
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

  it('unsubscribes from the Observable of a handler', async () => {
    await start({ HANDLER_TIMEOUT_MS: '100' });
    await sut.anonymous.get('/polling').expect(503);
    expect(polls).toBe(0);
  });

  it('is not needed to unsubscribe after the client has disconnected', async () => {
    await start({ HANDLER_TIMEOUT_MS: '60000' });
    const client = new AbortController();
    const response = fetch(`${sut.url}/polling`, { signal: client.signal });
    await until(() => polls === 1);
    client.abort();
    await expect(response).rejects.toThrow('aborted');
    await until(() => polls === 0);
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
