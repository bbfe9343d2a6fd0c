import { hash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Body, Controller, Headers, HttpCode, Module, Post, Res } from '@nestjs/common';
import { Type } from 'class-transformer';
import { IsBase64, IsString, ValidateNested } from 'class-validator';
import type { Response } from 'express';
import type { EntityManager } from 'typeorm';
import { CurrentPrincipal, RequireScopes } from '../../src/platform/auth/auth.decorators.js';
import type { Principal } from '../../src/platform/auth/principal.js';
import { OptionalNotNull } from '../../src/platform/http/validators.js';
import { IdempotencyModule } from '../../src/platform/idempotency/idempotency.module.js';
import { IdempotencyService } from '../../src/platform/idempotency/idempotency.service.js';
import { Problem } from '../../src/platform/problems/problem.js';
import { invalidRequest } from '../../src/platform/problems/problem-types.js';
import { AUDIENCE, type Issuer, startIssuer } from '../support/issuer.js';
import { createTestApp, type TestApp } from '../support/test-app.js';

const PUSHER = 'pusher@project.iam.gserviceaccount.com';

/** https://cloud.google.com/pubsub/docs/push#receive_push */
class PubSubMessageDto {
  @IsString()
  messageId!: string;

  @IsBase64()
  data!: string;

  @OptionalNotNull()
  attributes?: Record<string, string>;

  @OptionalNotNull()
  publishTime?: string;

  @OptionalNotNull()
  orderingKey?: string;

  /** Repeats messageId, for older clients */
  @OptionalNotNull()
  message_id?: string;

  /** Repeats publishTime, for older clients */
  @OptionalNotNull()
  publish_time?: string;
}

class PubSubPushDto {
  @ValidateNested()
  @Type(() => PubSubMessageDto)
  message!: PubSubMessageDto;

  @IsString()
  subscription!: string;

  @OptionalNotNull()
  deliveryAttempt?: number;
}

@Controller('push')
class PushController {
  constructor(private readonly idempotency: IdempotencyService) {}

  @Post('pubsub')
  @HttpCode(200)
  @RequireScopes('events:push')
  pubsub(
    @Body() { message }: PubSubPushDto,
    @CurrentPrincipal() principal: Principal,
    @Res({ passthrough: true }) response: Response,
  ): Promise<object> {
    return this.once(message.messageId, principal, response, (manager) => record(manager, message.data));
  }

  /** https://cloud.google.com/tasks/docs/creating-http-target-tasks#handler */
  @Post('task')
  @HttpCode(200)
  @RequireScopes('events:push')
  task(
    @Body() body: Record<string, unknown>,
    @CurrentPrincipal() principal: Principal,
    @Res({ passthrough: true }) response: Response,
    @Headers('X-CloudTasks-TaskName') name?: string,
  ): Promise<object> {
    return this.once(name, principal, response, (manager) => record(manager, JSON.stringify(body)));
  }

  /** https://cloud.google.com/scheduler/docs/reference/rpc/google.cloud.scheduler.v1#httptarget */
  @Post('scheduler')
  @HttpCode(200)
  @RequireScopes('events:push')
  scheduler(
    @CurrentPrincipal() principal: Principal,
    @Res({ passthrough: true }) response: Response,
    @Headers('X-CloudScheduler-JobName') job?: string,
    @Headers('X-CloudScheduler-ScheduleTime') time?: string,
  ): Promise<object> {
    return this.once(job && time && `${job} ${time}`, principal, response, (manager) => record(manager, 'scheduled'));
  }

  /** Does the work once per message: the effect and the id are one transaction. */
  private once(
    id: string | undefined,
    { id: principal }: Principal,
    response: Response,
    work: (manager: EntityManager) => Promise<object>,
  ): Promise<object> {
    if (!id) throw new Problem(invalidRequest);
    const key = hash('sha256', id, 'base64url');
    return this.idempotency.run({ principal, key, fingerprint: key, response }, work);
  }
}

async function record(manager: EntityManager, data: string): Promise<object> {
  await manager.query('INSERT INTO test_events (data) VALUES ($1)', [data]);
  return { recorded: true };
}

@Module({ imports: [IdempotencyModule], controllers: [PushController] })
class PushModule {}

let issuer: Issuer;
let sut: TestApp;
beforeAll(async () => {
  issuer = await startIssuer();
  sut = await createTestApp({
    modules: [PushModule],
    env: { OIDC_ISSUERS: issuer.url, OIDC_AUDIENCE: AUDIENCE, OIDC_SCOPE_GRANTS: `${PUSHER}=events:push` },
  });
  await sut.database.query('CREATE TABLE test_events (data text NOT NULL)');
});
afterAll(async () => {
  await sut.close();
  issuer.stop();
});

/** The token that Google signs for the service account of a subscription, queue or job. */
const token = (email = PUSHER) => issuer.sign({ email, email_verified: true });
const countEvents = async () => (await sut.database.query('SELECT FROM test_events')).length;

async function push(path: string, body: object | undefined, headers: Record<string, string> = {}) {
  const request = sut.anonymous
    .post(`/push/${path}`)
    .auth(await token(), { type: 'bearer' })
    .set(headers);
  return body ? request.send(body) : request;
}

const PUBSUB = {
  message: {
    attributes: { key: 'value' },
    data: 'SGVsbG8gQ2xvdWQgUHViL1N1YiEgSGVyZSBpcyBteSBtZXNzYWdlIQ==',
    messageId: '2070443601311540',
    message_id: '2070443601311540',
    publishTime: '2021-02-26T19:13:55.749Z',
    publish_time: '2021-02-26T19:13:55.749Z',
  },
  subscription: 'projects/myproject/subscriptions/mysubscription',
};
const TASK = { 'X-CloudTasks-TaskName': '6180484120423431023', 'X-CloudTasks-QueueName': 'orders' };
const SCHEDULE = { 'X-CloudScheduler-JobName': 'nightly', 'X-CloudScheduler-ScheduleTime': '2026-11-29T02:00:00Z' };

describe.each([
  ['Pub/Sub', () => push('pubsub', PUBSUB)],
  ['Cloud Tasks', () => push('task', { order: 1 }, TASK)],
  ['Cloud Scheduler', () => push('scheduler', undefined, SCHEDULE)],
])('a push of %s', (_, deliver) => {
  it('has one effect, however often it is delivered', async () => {
    const count = await countEvents();
    for (let delivery = 0; delivery < 3; delivery++) {
      const { status, body } = await deliver();
      expect([status, body]).toEqual([200, { recorded: true }]);
    }
    expect(await countEvents()).toBe(count + 1);
  });
});

describe('a push endpoint', () => {
  it('returns an error after a failure, so that the sender tries again', async () => {
    await sut.database.query('ALTER TABLE test_events RENAME TO renamed');
    const body = { ...PUBSUB, message: { ...PUBSUB.message, messageId: '7' } };
    expect((await push('pubsub', body)).status).toBe(500);
    await sut.database.query('ALTER TABLE renamed RENAME TO test_events');
    expect((await push('pubsub', body)).status).toBe(200);
  });

  it('requires the token of the service account that pushes', async () => {
    await sut.anonymous.post('/push/pubsub').send(PUBSUB).expect(401);
    const stranger = await token('stranger@project.iam.gserviceaccount.com');
    await sut.anonymous.post('/push/pubsub').auth(stranger, { type: 'bearer' }).send(PUBSUB).expect(403);
    const unverified = await issuer.sign({ email: PUSHER, email_verified: false });
    await sut.anonymous.post('/push/pubsub').auth(unverified, { type: 'bearer' }).send(PUBSUB).expect(403);
    const otherService = await issuer.sign({ email: PUSHER, email_verified: true, aud: 'https://other.example.com' });
    await sut.anonymous.post('/push/pubsub').auth(otherService, { type: 'bearer' }).send(PUBSUB).expect(401);
  });

  it.each([
    ['pubsub', { message: { data: 'x' } }],
    ['pubsub', {}],
    ['task', { order: 1 }],
  ])('rejects a request that no sender sends: %s %j', async (path, body) => {
    expect((await push(path, body)).status).toBe(400);
  });
});
