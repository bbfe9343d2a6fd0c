import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { OpenAPIObject } from '@nestjs/swagger';
import * as common from '../../src/platform/problems/problem-types.js';
import { problemCatalog } from '../../src/platform/problems/problem.js';
import { exceptionTypes } from '../../src/platform/problems/to-problem.js';
import '../../src/app.module.js';
import { documentedProblems, findOperation } from '../support/openapi.js';
import { type Program, startProgram } from '../support/program.js';

let sut: Program;
let document: OpenAPIObject;
beforeAll(async () => {
  sut = await startProgram({ DATABASE_URL: 'postgresql://127.0.0.1:1/none', DOCS_ENABLED: 'true' });
  document = (await (await fetch(`${sut.url}/openapi.json`)).json()) as OpenAPIObject;
});
afterAll(() => sut.stop());

describe('GET /openapi.json', () => {
  it('documents every problem that a route returns', () => {
    const documented = documentedProblems(document);
    const missing = [...problemCatalog.keys()].filter((code) => !documented.has(code));
    // Returned before a route is known, or for an exception that is not a Problem.
    const { routeNotFound, methodNotAllowed, requestTimeout, expectationFailed, httpError } = common;
    const ofProtocol = [routeNotFound, methodNotAllowed, requestTimeout, expectationFailed, httpError];
    // partnerUnavailable belongs to routes that call fetchPartner().
    const undeclared = new Set(
      [...ofProtocol, common.partnerUnavailable, ...exceptionTypes.values()].map(({ code }) => code),
    );
    expect(missing.filter((code) => !undeclared.has(code))).toEqual([]);
    for (const type of [
      common.internalError,
      common.contentTooLarge,
      common.unsupportedMediaType,
      common.tooManyRequests,
    ])
      expect(documented).toContain(type.code);
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
    expect(findOperation(document, 'GET /v1/vouchers').parameters).toContainEqual({
      name: 'limit',
      in: 'query',
      required: false,
      schema: { type: 'integer', minimum: 1, maximum: 100, default: 20 },
    });
  });

  it.each([
    ['POST /v1/vouchers', '201', 'ETag'],
    ['POST /v1/vouchers', '201', 'Location'],
    ['GET /v1/vouchers/{id}', '200', 'ETag'],
    ['GET /v1/vouchers/{id}', '304', 'ETag'],
    ['PATCH /v1/vouchers/{id}', '200', 'ETag'],
    ['GET /v1/vouchers', '403', 'WWW-Authenticate'],
  ])('requires in the response of %s %s the header %s', (name, status, header) => {
    const response = findOperation(document, name).responses[status];
    expect(response).toMatchObject({ headers: { [header]: { required: true } } });
  });
});
