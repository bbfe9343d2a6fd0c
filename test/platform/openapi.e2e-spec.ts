import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { OpenAPIObject } from '@nestjs/swagger';
import { readFileSync } from 'node:fs';
import type { Application } from 'express';
import { scopeMissing } from '../../src/platform/auth/auth.problems.js';
import { problemCatalog } from '../../src/platform/problems/problem.js';
import * as transport from '../../src/platform/problems/problem-types.js';
import * as idempotency from '../../src/platform/idempotency/idempotency.problems.js';
import { namedOperations } from '../support/openapi.js';
import { type Program, startProgram } from '../support/program.js';
import { createTestApp } from '../support/test-app.js';

// The built service: Swagger's compiler plugin, which reads types and comments, works when the service is built.
let sut: Program;
let document: OpenAPIObject;
beforeAll(async () => {
  sut = await startProgram({ DATABASE_URL: 'postgresql://127.0.0.1:1/none', DOCS_ENABLED: 'true' });
  document = (await (await fetch(`${sut.url}/openapi.json`)).json()) as OpenAPIObject;
});
afterAll(() => sut.stop());

describe('the OpenAPI document', () => {
  it('has every route', async () => {
    const app = await createTestApp({ env: { DOCS_ENABLED: 'false' } });
    const { router } = app.app.getHttpAdapter().getInstance() as Application;
    const routes = router.stack.flatMap(({ route }) => {
      const methods = Object.keys((route as { methods?: object } | undefined)?.methods ?? {});
      if (!route || methods.length !== 1) return []; // middleware
      return [`${methods[0]?.toUpperCase()} ${route.path.replaceAll(/:(\w+)/g, '{$1}')}`];
    });
    await app.close();
    expect(routes).toContain('GET /v1/me');
    expect(
      namedOperations(document)
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual(routes.toSorted());
  });

  it('declares every problem of the catalogue somewhere, with an example', () => {
    const declared = new Set(
      namedOperations(document).flatMap(({ operation }) =>
        Object.values(operation.responses).flatMap((response) =>
          Object.keys(('content' in response! && response.content?.['application/problem+json']?.examples) || {}),
        ),
      ),
    );
    // These answer a request before there is an operation for it, or need one that takes a body, an ETag or a scope.
    const general = new Set(
      [...Object.values(transport), ...Object.values(idempotency), scopeMissing].map(({ code }) => code),
    );
    expect([...problemCatalog.keys()].filter((code) => !declared.has(code) && !general.has(code))).toEqual([]);
    expect(declared).toContain('credential_missing');
  });

  it('requires the headers that clients rely on', () => {
    const headersOf = (name: string, status: string) => {
      const response = namedOperations(document).find((each) => each.name === name)?.operation.responses[status];
      return response && 'headers' in response ? response.headers : {};
    };
    const required = { required: true };
    expect(headersOf('GET /v1/me', '401')).toMatchObject({ 'WWW-Authenticate': required });
    expect(headersOf('GET /', '429')).toMatchObject({ 'Retry-After': required });
    expect(headersOf('GET /', '503')).toMatchObject({ 'Retry-After': required });
  });

  it('is told to nobody where the docs are switched off', async () => {
    const closed = await createTestApp({ env: { DOCS_ENABLED: 'false' } });
    await closed.http.get('/docs').expect(404);
    await closed.http.get('/openapi.json').expect(404);
    const { body } = await closed.http.get('/').expect(200);
    expect(body.links).toEqual({ health: '/health/ready' });
    await closed.close();
  });
});

describe('docs/problems.md', () => {
  it('lists exactly the problems of the catalogue', () => {
    const rows = readFileSync('docs/problems.md', 'utf8').matchAll(/^\| `(\w+)` *\| (\d+) *\| (.+?) *\|/gm);
    const listed = [...rows].map(([, code, status, title]) => ({ code, status: Number(status), title }));
    const catalog = [...problemCatalog.values()].map(({ code, status, title }) => ({ code, status, title }));
    expect(new Map(listed.map((row) => [row.code, row]))).toEqual(new Map(catalog.map((row) => [row.code, row])));
    expect(listed).toHaveLength(catalog.length);
  });
});
