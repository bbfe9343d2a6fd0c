import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { Env, EnvError, loadEnv, loggingEnv } from './env.js';

const DATABASE_URL = 'postgresql://127.0.0.1/app';

/** The lines of the error, one for each invalid variable. */
function errorsOf(source: NodeJS.ProcessEnv): string[] {
  try {
    loadEnv({ DATABASE_URL, ...source });
  } catch (error) {
    if (!(error instanceof EnvError)) throw error;
    return error.message.split('\n  ').slice(1);
  }
  return [];
}

/** The names of the invalid variables. */
const invalid = (source: NodeJS.ProcessEnv) => errorsOf(source).map((line) => line.replace(/ .*/, ''));

describe('loadEnv', () => {
  it('uses the default for a variable that is not set or empty', () => {
    expect(loadEnv({ NODE_ENV: 'production', DATABASE_URL, PORT: '', LOG_FORMAT: '' })).toEqual(
      Object.assign(new Env(), { NODE_ENV: 'production', DATABASE_URL }),
    );
  });

  it('enables the docs in development only', () => {
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
  ])('rejects %s=%s, without the value in the message', (name, value) => {
    const [line, ...others] = errorsOf({ OIDC_ISSUERS: 'https://a.example.com', OIDC_AUDIENCE: 'a', [name]: value });
    expect(line).toMatch(new RegExp(`^${name} must .+`));
    expect(line).not.toContain('secret');
    expect(others).toEqual([]);
  });

  it('reports every invalid variable', () => {
    const names = invalid({ DATABASE_URL: '', PORT: 'x', LOG_LEVEL: 'x', DOCS_ENABLED: 'x' });
    expect(names.toSorted()).toEqual(['DATABASE_URL', 'DOCS_ENABLED', 'LOG_LEVEL', 'PORT']);
  });

  it('rejects LOG_FORMAT=pretty in production', () => {
    expect(invalid({ NODE_ENV: 'production', LOG_FORMAT: 'pretty' })).toEqual(['LOG_FORMAT']);
  });

  it('accepts the form of a database URL that Cloud SQL needs', () => {
    expect(invalid({ DATABASE_URL: 'postgresql://user:pw@/app?host=/cloudsql/project:region:instance' })).toEqual([]);
  });
});

describe('loadEnv with OIDC', () => {
  const OIDC_ISSUERS = 'https://a.example.com, https://b.example.com/realms/one';
  const OIDC_AUDIENCE = 'audience';

  it('accepts grants that name an issuer, and grants that do not where there is one issuer', () => {
    const OIDC_SCOPE_GRANTS = 'https://a.example.com ci@example.com=a b,someone=c';
    const env = loadEnv({ DATABASE_URL, OIDC_ISSUERS: 'https://a.example.com', OIDC_AUDIENCE, OIDC_SCOPE_GRANTS });
    expect(env.OIDC_SCOPE_GRANTS).toEqual(['https://a.example.com ci@example.com=a b', 'someone=c']);
  });

  it.each<[string, string, NodeJS.ProcessEnv]>([
    ['issuers without an audience', 'OIDC_AUDIENCE', { OIDC_ISSUERS }],
    ['grants without an issuer', 'OIDC_ISSUERS', { OIDC_SCOPE_GRANTS: 'someone=a' }],
    ['a client id without an issuer', 'OIDC_ISSUERS', { OIDC_CLIENT_ID: 'docs' }],
    [
      'a grant that does not name one of several issuers',
      'OIDC_SCOPE_GRANTS',
      { OIDC_ISSUERS, OIDC_AUDIENCE, OIDC_SCOPE_GRANTS: 'https://a.example.com ci@example.com=a b,someone=c' },
    ],
    [
      'a grant of an unknown issuer',
      'OIDC_SCOPE_GRANTS',
      { OIDC_ISSUERS, OIDC_AUDIENCE, OIDC_SCOPE_GRANTS: 'https://c.example.com ci@example.com=a' },
    ],
    [
      'two grants for one caller',
      'OIDC_SCOPE_GRANTS',
      { OIDC_ISSUERS: 'https://a.example.com', OIDC_AUDIENCE, OIDC_SCOPE_GRANTS: 'me=a,me=b' },
    ],
  ])('rejects %s, naming %s', (_, name, source) => {
    expect(invalid(source)).toEqual([name]);
  });
});

describe('loggingEnv', () => {
  it('returns the logging settings of an invalid environment', () => {
    expect(loggingEnv({ NODE_ENV: 'production', PORT: 'invalid', COMMIT_SHA: 'abcdef0' })).toMatchObject({
      LOG_LEVEL: 'info',
      LOG_FORMAT: 'json',
      COMMIT_SHA: 'abcdef0',
    });
  });
});

describe('.env.example', () => {
  it('names every variable with its default', () => {
    const example = parseEnv(readFileSync('.env.example', 'utf8'));
    const defaults = Object.entries(new Env()).map(([name, value]) => [name, String(value ?? '')]);
    expect(example).toEqual(Object.fromEntries(defaults));
  });
});
