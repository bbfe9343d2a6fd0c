import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Body, Controller, Post } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { IsString } from 'class-validator';
import { Public } from '../../src/platform/auth/auth.decorators.js';
import { ApiCreated } from '../../src/platform/http/api-responses.js';
import { createTestDatabase } from '../support/test-database.js';
import { createTestApp, type TestApp } from '../support/test-app.js';

class ItemDto {
  @IsString()
  id!: string;
}

@Controller({ path: 'items', version: ['1', '2'] })
@Public()
class ItemsController {
  @Post()
  @ApiCreated(ItemDto)
  create(@Body() item: ItemDto): ItemDto {
    return item;
  }
}

const exclude = ['/', 'me', 'health/{*path}'];

describe('a global prefix', () => {
  let sut: TestApp;
  beforeAll(async () => {
    const configure = (app: NestExpressApplication) => app.setGlobalPrefix('api', { exclude });
    sut = await createTestApp({ controllers: [ItemsController], configure });
  });
  afterAll(() => sut.close());

  it.each(['/api/v1/items', '/api/v2/items', '/api/v2/items/?dryRun=true'])(
    'is part of the Location of a resource created with POST %s',
    async (path) => {
      const { headers } = await sut.http.post(path).send({ id: 'a' }).expect(201);
      expect(headers.location).toBe(`${path.replace(/\/?(\?.*)?$/, '')}/a`);
    },
  );

  it.each(['/', '/v1/me', '/health/live', '/health/ready', '/openapi.json'])('does not move %s', async (path) => {
    await sut.http.get(path).expect(200);
  });

  it.each([
    ['GET', '/nowhere', 404, 'route_not_found'],
    ['GET', '/v1/items', 404, 'route_not_found'],
    ['GET', '/api/nowhere', 404, 'route_not_found'],
    ['POST', '/health/live', 405, 'method_not_allowed'],
    ['DELETE', '/api/v2/items', 405, 'method_not_allowed'],
  ])('returns problems inside and outside of it: %s %s', async (method, path, status, code) => {
    const response = await fetch(`${sut.url}${path}`, { method });
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ status, code });
  });

  it('without exclusions fails at the start with the remedy', async () => {
    const database = await createTestDatabase();
    let app: NestExpressApplication | undefined;
    const configure = (each: NestExpressApplication) => (app = each).setGlobalPrefix('api');
    try {
      await expect(createTestApp({ database, configure })).rejects.toThrow(
        /^No route is registered at \/, \/health\/live, .*app\.setGlobalPrefix\('api', \{ exclude:/,
      );
    } finally {
      await app?.close();
      await database.drop();
    }
  });
});
