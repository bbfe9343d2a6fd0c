import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { OpenAPIObject } from '@nestjs/swagger';
import { problemCatalog } from '../../src/platform/problems/problem.js';
import * as transport from '../../src/platform/problems/problem-types.js';
import '../../src/app.module.js';
import { namedOperations } from '../support/openapi.js';
import { type Program, startProgram } from '../support/program.js';

let sut: Program;
let document: OpenAPIObject;
beforeAll(async () => {
  sut = await startProgram({ DATABASE_URL: 'postgresql://127.0.0.1:1/none', DOCS_ENABLED: 'true' });
  document = (await (await fetch(`${sut.url}/openapi.json`)).json()) as OpenAPIObject;
});
afterAll(() => sut.stop());

describe('the OpenAPI document of the vouchers', () => {
  it('declares every problem of the catalogue, with an example', () => {
    const declared = new Set(
      namedOperations(document).flatMap(({ operation }) =>
        Object.values(operation.responses).flatMap((response) =>
          Object.keys(('content' in response! && response.content?.['application/problem+json']?.examples) || {}),
        ),
      ),
    );
    // These answer a request before there is an operation for it.
    const { routeNotFound, methodNotAllowed, requestTimeout, httpError } = transport;
    const outside = [routeNotFound, methodNotAllowed, requestTimeout, httpError];
    const missing = [...problemCatalog.keys()].filter((code) => !declared.has(code));
    expect(missing.toSorted()).toEqual(outside.map(({ code }) => code).toSorted());
  });

  it.each<[boolean, string]>([
    [true, '*'],
    [true, '"1"'],
    [true, 'W/"1",, "2" ,"some,thing"'],
    [false, '1'],
    [false, '"1'],
    [false, '"1""2"'],
    [false, '"1", *'],
  ])('says %s of If-Match: %s', (valid, ifMatch) => {
    const remove = namedOperations(document).find(({ name }) => name === 'DELETE /v1/vouchers/{id}')?.operation;
    const parameter = remove?.parameters?.find((each) => 'name' in each && each.name === 'If-Match');
    const schema = parameter && 'schema' in parameter && parameter.schema;
    expect(RegExp((schema as { pattern: string }).pattern).test(ifMatch)).toBe(valid);
  });

  it('states the limits that the validators enforce', () => {
    expect(document.components?.schemas?.CreateVoucherDto).toMatchObject({
      additionalProperties: false,
      required: expect.arrayContaining(['code', 'maxRedemptions']),
      properties: {
        code: { type: 'string', minLength: 4, maxLength: 32, pattern: '^[A-Za-z0-9-]+$' },
        description: { type: 'string', maxLength: 500, nullable: true },
        metadata: { type: 'object', additionalProperties: true },
        maxRedemptions: { type: 'integer', minimum: 1, maximum: 1_000_000 },
        expiresAt: { type: 'string', format: 'date-time', nullable: true },
      },
    });
    const list = namedOperations(document).find(({ name }) => name === 'GET /v1/vouchers')?.operation;
    expect(list?.parameters).toContainEqual({
      name: 'limit',
      in: 'query',
      required: false,
      schema: { type: 'integer', minimum: 1, maximum: 100, default: 20 },
    });
  });

  it('requires the headers that clients rely on', () => {
    const required = namedOperations(document).flatMap(({ name, operation }) =>
      Object.entries(operation.responses).flatMap(([status, response]) =>
        Object.entries(('headers' in response! && response.headers) || {}).flatMap(([header, value]) =>
          'required' in value && value.required ? [`${name} ${status} ${header}`] : [],
        ),
      ),
    );
    expect(required).toEqual(
      expect.arrayContaining([
        'POST /v1/vouchers 201 ETag',
        'POST /v1/vouchers 201 Location',
        'GET /v1/vouchers/{id} 200 ETag',
        'GET /v1/vouchers/{id} 304 ETag',
        'PATCH /v1/vouchers/{id} 200 ETag',
        'GET /v1/vouchers 403 WWW-Authenticate',
      ]),
    );
  });
});
