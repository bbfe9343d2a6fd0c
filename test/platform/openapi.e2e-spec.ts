import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { OpenAPIObject } from '@nestjs/swagger';
import { scopeMissing } from '../../src/platform/auth/auth.problems.js';
import * as idempotency from '../../src/platform/idempotency/idempotency.problems.js';
import * as common from '../../src/platform/problems/problem-types.js';
import { problemCatalog } from '../../src/platform/problems/problem.js';
import { documentedProblems, findOperation, operationsOf, routesOf } from '../support/openapi.js';
import { type Program, startProgram } from '../support/program.js';
import { createTestApp, type TestApp } from '../support/test-app.js';

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
    const routes = routesOf(sut.app).map(
      ({ method, path }) => `${method.toUpperCase()} ${path.replaceAll(/:(\w+)/g, '{$1}')}`,
    );
    expect(routes).toContain('GET /v1/me');
    expect([...operationsOf(document).keys()].toSorted()).toEqual(routes.toSorted());
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
