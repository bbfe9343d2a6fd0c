import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Controller, Get } from '@nestjs/common';
import { Public } from '../../src/platform/auth/auth.decorators.js';
import { createTestApp, type TestApp } from '../support/test-app.js';
import { until } from '../support/until.js';

const inFlight: (() => void)[] = [];

@Controller('slow')
@Public()
class SlowController {
  @Get()
  slow(): Promise<void> {
    return new Promise((done) => inFlight.push(done));
  }
}

let sut: TestApp;
beforeAll(async () => {
  sut = await createTestApp({ env: { CONCURRENCY_LIMIT: '2' }, controllers: [SlowController] });
});
afterAll(() => sut.close());

it('refuses a request at once while CONCURRENCY_LIMIT others are worked on, and none of the probes', async () => {
  const slow = [1, 2].map(() => sut.anonymous.get('/slow').then(({ status }) => status));
  await until(() => inFlight.length === 2);

  const { body, headers } = await sut.anonymous.get('/').expect(503);
  expect(body).toMatchObject({ code: 'overloaded', requestId: headers['x-request-id'] });
  expect(headers).toMatchObject({ 'content-type': 'application/problem+json', 'retry-after': '1' });
  await sut.anonymous.get('/health/live').expect(200);
  await sut.anonymous.get('/health/ready').expect(200);

  for (const done of inFlight) done();
  expect(await Promise.all(slow)).toEqual([200, 200]);
  await sut.anonymous.get('/').expect(200);
});
