import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Body, Controller, Get, Headers, Param, ParseEnumPipe, Post, Query } from '@nestjs/common';
import { ApiOkResponse, ApiProperty, type OpenAPIObject } from '@nestjs/swagger';
import { Public } from '../../src/platform/auth/auth.decorators.js';
import { scopeMissing } from '../../src/platform/auth/auth.problems.js';
import * as idempotency from '../../src/platform/idempotency/idempotency.problems.js';
import * as common from '../../src/platform/problems/problem-types.js';
import { problemCatalog } from '../../src/platform/problems/problem.js';
import { holesOf } from '../../tools/dev/openapi-holes.mjs';
import { documentedProblems, findOperation, operationsOf, routesOf } from '../support/openapi.js';
import { type Program, startProgram } from '../support/program.js';
import { createTestApp, type TestApp } from '../support/test-app.js';

enum Size {
  Small,
  Large,
}

class LabPartDto {
  @ApiProperty()
  name!: string;
}

class LabLabelDto {
  @ApiProperty({ type: () => LabLabelDto, nullable: true })
  parent!: LabLabelDto | null;
}

class LabOrderDto {
  @ApiProperty({ type: [LabPartDto] })
  parts!: LabPartDto[];
}

class CreateLabOrderDto extends LabOrderDto {
  @ApiProperty({ type: LabLabelDto })
  label!: LabLabelDto;
}

@Controller({ path: 'lab', version: ['1', '2'] })
@Public()
class LabController {
  @Get(':color')
  find(
    @Param('color', new ParseEnumPipe({ Red: 'red', Blue: 'blue' })) color: string,
    @Query('size', new ParseEnumPipe(Size, { optional: true })) size?: Size,
    @Query('any') any?: unknown,
    @Headers('x-any') header?: unknown,
  ): string {
    return String([color, size, any, header]);
  }

  @Post()
  @ApiOkResponse({ type: LabOrderDto })
  create(@Body() dto: CreateLabOrderDto): LabOrderDto {
    return dto;
  }

  @Post('untyped')
  untyped(@Body() dto: unknown): string {
    return String(dto);
  }
}

// The document of the built service: Swagger's compiler plugin reads types and comments during the build.
let program: Program;
let document: OpenAPIObject;
let sut: TestApp;
beforeAll(async () => {
  program = await startProgram({ DATABASE_URL: 'postgresql://127.0.0.1:1/none', DOCS_ENABLED: 'true' });
  document = (await (await fetch(`${program.url}/openapi.json`)).json()) as OpenAPIObject;
  sut = await createTestApp({ env: { DOCS_ENABLED: 'false' } });
});
afterAll(async () => {
  await program.stop();
  await sut.close();
});

describe('GET /openapi.json', () => {
  it('documents every route', () => {
    const routes = routesOf(sut.app)
      .filter(({ path }) => !path.endsWith('/mcp')) // describes itself
      .map(({ method, path }) => `${method.toUpperCase()} ${path.replaceAll(/:(\w+)/g, '{$1}')}`);
    expect(routes).toContain('GET /v1/me');
    expect([...operationsOf(document).keys()].toSorted()).toEqual(routes.toSorted());
  });

  it('has a type for each response, body, parameter and property', () => {
    expect(holesOf(document)).toEqual([]);
  });

  it('documents every problem of the catalog with an example', () => {
    const documented = documentedProblems(document);
    // Only routes with a body, an ETag or a scope have these; some requests fail before they reach a route.
    const conditional = new Set([...Object.values(common), ...Object.values(idempotency), scopeMissing]);
    const missing = [...problemCatalog.values()].filter((type) => !documented.has(type.code) && !conditional.has(type));
    expect(missing).toEqual([]);
    expect(documented).toContain('credential_missing');
  });

  it.each([
    ['GET /v1/me', '401', 'WWW-Authenticate'],
    ['GET /', '429', 'Retry-After'],
    ['GET /', '503', 'Retry-After'],
  ])('requires in the response of %s %s the header %s', (name, status, header) => {
    const response = findOperation(document, name).responses[status];
    expect(response).toMatchObject({ headers: { [header]: { required: true } } });
  });
});

describe('the document of a feature', () => {
  let lab: OpenAPIObject;
  beforeAll(async () => {
    const app = await createTestApp({ controllers: [LabController] });
    lab = (await app.http.get('/openapi.json')).body;
    await app.close();
  });

  it.each(['GET /v1/lab/{color}', 'GET /v2/lab/{color}'])('has the values of ParseEnumPipe: %s', (name) => {
    expect(findOperation(lab, name).parameters).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ name: 'color', schema: { type: 'string', enum: ['red', 'blue'] } }),
        expect.objectContaining({ name: 'size', schema: { type: 'number', enum: [0, 1] } }),
      ]),
    );
  });

  it('has the arguments without a type, with an empty schema', () => {
    expect(findOperation(lab, 'GET /v1/lab/{color}').parameters).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ in: 'query', name: 'any', schema: {} }),
        expect.objectContaining({ in: 'header', name: 'x-any', schema: {} }),
      ]),
    );
    expect(findOperation(lab, 'POST /v1/lab/untyped').requestBody).toEqual({
      content: { 'application/json': { schema: {} } },
    });
  });

  it('closes nested schemas of requests, and leaves those of responses open', () => {
    const { schemas = {} } = lab.components ?? {};
    expect(schemas).toMatchObject({
      CreateLabOrderDto: {
        properties: { parts: { items: { $ref: '#/components/schemas/LabPartDtoInput' } } },
        additionalProperties: false,
      },
      LabLabelDto: { additionalProperties: false },
      LabPartDtoInput: { additionalProperties: false },
      LabOrderDto: { properties: { parts: { items: { $ref: '#/components/schemas/LabPartDto' } } } },
    });
    expect(schemas.LabOrderDto).not.toHaveProperty('additionalProperties');
    expect(schemas.LabPartDto).not.toHaveProperty('additionalProperties');
  });
});

describe('DOCS_ENABLED=false', () => {
  it('returns 404 for the docs, and no link to them', async () => {
    await sut.http.get('/docs').expect(404);
    await sut.http.get('/openapi.json').expect(404);
    const { body } = await sut.http.get('/').expect(200);
    expect(body.links).toEqual({ health: '/health/ready' });
  });
});

describe('OIDC_CLIENT_ID', () => {
  it('adds the issuer to the security schemes, and to the content security policy of the docs', async () => {
    const issuer = 'https://issuer.example.com/realms/one';
    const env = { OIDC_ISSUERS: issuer, OIDC_AUDIENCE: 'api', OIDC_CLIENT_ID: 'docs', DOCS_ENABLED: 'true' };
    const app = await createTestApp({ env });
    try {
      const { body } = await app.http.get('/openapi.json').expect(200);
      expect(body.components.securitySchemes.oidc.openIdConnectUrl).toBe(`${issuer}/.well-known/openid-configuration`);
      expect(body.paths['/v1/me'].get.security).toContainEqual({ oidc: [] });
      const { headers } = await app.http.get('/docs/').expect(200);
      expect(headers['content-security-policy']).toContain("connect-src 'self' https: https://issuer.example.com");
    } finally {
      await app.close();
    }
  });
});

describe('docs/problems.md', () => {
  it('lists exactly the problems of the catalog', () => {
    const rows = readFileSync('docs/problems.md', 'utf8').matchAll(/^\| `(\w+)` *\| (\d+) *\| (.+?) *\|/gm);
    const listed = [...rows].map(([, code, status, title]) => ({ code, status: Number(status), title }));
    const catalog = [...problemCatalog.values()].map(({ code, status, title }) => ({ code, status, title }));
    expect(new Map(listed.map((row) => [row.code, row]))).toEqual(new Map(catalog.map((row) => [row.code, row])));
    expect(listed).toHaveLength(catalog.length);
  });
});
