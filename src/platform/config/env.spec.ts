import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { Env, EnvError, loadEnv } from './env.js';

const DATABASE_URL = 'postgresql://127.0.0.1/app';

/** What loadEnv complains about, a line for each variable. */
function complaints(source: NodeJS.ProcessEnv): string[] {
  try {
    loadEnv({ DATABASE_URL, ...source });
  } catch (error) {
    if (!(error instanceof EnvError)) throw error;
    return error.message.split('\n  ').slice(1);
  }
  return [];
}

describe('loadEnv', () => {
  it('takes the defaults where nothing, or nothing but emptiness, is given', () => {
    expect(loadEnv({ NODE_ENV: 'production', DATABASE_URL, PORT: '', LOG_FORMAT: '' })).toEqual(
      Object.assign(new Env(), { NODE_ENV: 'production', DATABASE_URL }),
    );
  });

  it('shows the docs in development and not in production', () => {
    expect(loadEnv({ DATABASE_URL }).DOCS_ENABLED).toBe(true);
    expect(loadEnv({ DATABASE_URL, NODE_ENV: 'production' }).DOCS_ENABLED).toBe(false);
  });

  it.each([
    ['NODE_ENV', 'prod'],
    ['PORT', '65536'],
    ['PORT', '80.5'],
    ['PORT', '1e3'],
    ['PORT', 'http'],
    ['HOST', 'two words'],
    ['LOG_LEVEL', 'verbose'],
    ['LOG_FORMAT', 'xml'],
    ['DOCS_ENABLED', 'yes'],
    ['DATABASE_URL', 'mysql://secret@host/app'],
    ['DATABASE_URL', 'postgresql://secret@host:port/app'],
    ['DATABASE_POOL_MAX', '0'],
    ['DATABASE_CONNECT_TIMEOUT_MS', '5'],
    ['DATABASE_STARTUP_WARN_AFTER_MS', '-1'],
    ['DATABASE_STATEMENT_TIMEOUT_MS', '10s'],
    ['OIDC_ISSUERS', 'accounts.google.com'],
    ['OIDC_ISSUERS', 'http://issuer.example.com'],
    ['OIDC_ISSUERS', 'https://issuer.example.com?secret'],
    ['OIDC_SCOPE_GRANTS', 'secret@example.com'],
    ['OIDC_SCOPE_GRANTS', 'secret@example.com='],
    ['CORS_ORIGINS', '*'],
    ['CORS_ORIGINS', 'https://app.example.com/'],
    ['CORS_ORIGINS', 'https://app.example.com,null'],
    ['RATE_LIMIT_PER_MINUTE', 'many'],
    ['TRUST_PROXY_HOPS', 'true'],
    ['HANDLER_TIMEOUT_MS', '0'],
    ['SHUTDOWN_TIMEOUT_MS', 'never'],
    ['SHUTDOWN_DELAY_MS', '9000'],
    ['COMMIT_SHA', 'main'],
  ])('refuses %s=%s, naming the variable and not the value', (name, value) => {
    const [line, ...others] = complaints({ OIDC_ISSUERS: 'https://a.example.com', OIDC_AUDIENCE: 'a', [name]: value });
    expect(line).toMatch(new RegExp(`^${name} must .+`));
    expect(line).not.toContain('secret');
    expect(others).toEqual([]);
  });

  it('names all that is wrong at once', () => {
    const lines = complaints({ DATABASE_URL: '', PORT: 'x', LOG_LEVEL: 'x', DOCS_ENABLED: 'x' });
    expect(lines.map((line) => line.replace(/ .*/, '')).toSorted()).toEqual([
      'DATABASE_URL',
      'DOCS_ENABLED',
      'LOG_LEVEL',
      'PORT',
    ]);
  });

  it('refuses pretty lines in production', () => {
    expect(complaints({ NODE_ENV: 'production', LOG_FORMAT: 'pretty' })).toHaveLength(1);
  });

  it('refuses issuers without an audience, and callers of several issuers that do not say of which', () => {
    const OIDC_ISSUERS = 'https://a.example.com, https://b.example.com/realms/one';
    const OIDC_SCOPE_GRANTS = 'https://a.example.com ci@example.com=a b,someone=c';
    expect(complaints({ OIDC_ISSUERS, OIDC_SCOPE_GRANTS }).map((line) => line.replace(/ .*/, ''))).toEqual([
      'OIDC_AUDIENCE',
      'OIDC_SCOPE_GRANTS',
    ]);
    const callers = 'https://c.example.com ci@example.com=a,me=b,me=c';
    expect(complaints({ OIDC_SCOPE_GRANTS: callers })).toEqual([
      'OIDC_ISSUERS must be set with OIDC_SCOPE_GRANTS or OIDC_CLIENT_ID: without an issuer, no token is accepted',
      'OIDC_SCOPE_GRANTS must name only issuers of OIDC_ISSUERS',
      'OIDC_SCOPE_GRANTS must name each caller once, with all of its scopes',
    ]);
    const one = loadEnv({ DATABASE_URL, OIDC_ISSUERS: 'https://a.example.com', OIDC_AUDIENCE: 'a', OIDC_SCOPE_GRANTS });
    expect(one.OIDC_SCOPE_GRANTS).toEqual(['https://a.example.com ci@example.com=a b', 'someone=c']);
  });

  it('takes the forms of a database URL that Cloud SQL needs', () => {
    expect(complaints({ DATABASE_URL: 'postgresql://user:pw@/app?host=/cloudsql/project:region:instance' })).toEqual(
      [],
    );
  });
});

describe('.env.example', () => {
  it('names every variable with its default', () => {
    const example = parseEnv(readFileSync('.env.example', 'utf8'));
    const defaults = Object.entries(new Env()).map(([name, value]) => [name, String(value ?? '')]);
    expect(example).toEqual(Object.fromEntries(defaults));
  });
});
