import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { Env, EnvError, loadDatabaseEnv, loadEnv, loggingEnv } from './env.js';

const EXAMPLE = parseEnv(readFileSync('.env.example', 'utf8'));
const DATABASE_URL = 'postgresql://127.0.0.1/app';

/** A valid environment: the variables without a default. */
const REQUIRED = Object.fromEntries(
  Object.entries({ ...EXAMPLE, DATABASE_URL }).filter(
    ([name, value]) => value && new Env()[name as keyof Env] === undefined,
  ),
);

/** The lines of the error, one for each invalid variable. */
function errorsOf(source: NodeJS.ProcessEnv): string[] {
  try {
    loadEnv({ ...REQUIRED, ...source });
  } catch (error) {
    if (!(error instanceof EnvError)) throw error;
    return error.message.replace('Invalid configuration: ', '').split('\n  ');
  }
  return [];
}

/** The names of the invalid variables. */
const invalid = (source: NodeJS.ProcessEnv) => errorsOf(source).map((line) => line.replace(/ .*/, ''));

describe('loadEnv', () => {
  it('uses the default for a variable that is not set or empty', () => {
    expect(loadEnv({ NODE_ENV: 'production', ...REQUIRED, PORT: '', LOG_FORMAT: '' })).toEqual(
      Object.assign(new Env(), { NODE_ENV: 'production', ...REQUIRED }),
    );
  });

  it('enables the docs and MCP in development only', () => {
    expect(loadEnv(REQUIRED)).toMatchObject({ DOCS_ENABLED: true, MCP_ENABLED: true });
    const production = loadEnv({ ...REQUIRED, NODE_ENV: 'production' });
    expect(production).toMatchObject({ DOCS_ENABLED: false, MCP_ENABLED: false });
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
    ['DATABASE_URL', ' '],
    ['PORT', ' 8080'],
    ['PORT', '-1'],
    ['PORT', '{"port":8080}'],
    ['NODE_ENV', 'production '],
    ['DOCS_ENABLED', 'TRUE'],
    ['DATABASE_PREPARED_STATEMENTS', '1'],
    ['OIDC_ISSUERS', 'https://a.example.com,https://a.example.com'],
    ['OIDC_ISSUERS', 'https://a.example.com,'],
    ['OIDC_AUDIENCE', 'secret audience'],
    ['OIDC_CLIENT_ID', 'secret\n'],
    ['CORS_ORIGINS', '["https://secret.example.com"]'],
    ['CORS_ORIGINS', 'https://app.example.com,https://app.example.com'],
    ['GOOGLE_CLOUD_PROJECT', ' secret'],
    ['K_SERVICE', ' '],
    ['K_REVISION', 'secret '],
    ['DATABASE_POOL_MAX', '0'],
    ['DATABASE_CONNECT_TIMEOUT_MS', '5'],
    ['DATABASE_STARTUP_WARN_AFTER_MS', '-1'],
    ['DATABASE_STATEMENT_TIMEOUT_MS', '10s'],
    ['OIDC_ISSUERS', 'accounts.google.com'],
    ['OIDC_ISSUERS', 'http://issuer.example.com'],
    ['OIDC_ISSUERS', 'https://issuer.example.com?secret'],
    ['OIDC_SCOPE_GRANTS', 'secret@example.com'],
    ['OIDC_SCOPE_GRANTS', 'secret@example.com='],
    ['MCP_RESOURCE_URL', 'https://orders.example.com'],
    ['MCP_RESOURCE_URL', 'https://orders.example.com/mcp/'],
    ['MCP_RESOURCE_URL', 'http://orders.example.com/mcp'],
    ['CORS_ORIGINS', '*'],
    ['CORS_ORIGINS', 'https://app.example.com/'],
    ['CORS_ORIGINS', 'https://app.example.com,null'],
    ['RATE_LIMIT_PER_MINUTE', 'many'],
    ['TRUST_PROXY_HOPS', 'true'],
    ['HANDLER_TIMEOUT_MS', '0'],
    ['SHUTDOWN_TIMEOUT_MS', 'never'],
    ['SHUTDOWN_DELAY_MS', '9000'],
    ['COMMIT_SHA', 'main'],
    ['OTEL_SDK_DISABLED', '1'],
    ['OTEL_TRACES_EXPORTER', 'zipkin'],
    ['OTEL_TRACES_EXPORTER', 'otlp,console'],
    ['OTEL_METRICS_EXPORTER', 'prometheus'],
    ['OTEL_TRACES_SAMPLER', 'jaeger_remote'],
    ['OTEL_TRACES_SAMPLER_ARG', '1.5'],
    ['OTEL_TRACES_SAMPLER_ARG', '10%'],
    ['OTEL_BSP_SCHEDULE_DELAY', '0'],
    ['OTEL_METRIC_EXPORT_INTERVAL', '1m'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'localhost:4318'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'https://secret@collector.example.com'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'https://collector.example.com?key=secret'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://telemetry.googleapis.com'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'secret'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'a=secret%'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'a=secret%0A'],
    ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc'],
    ['OTEL_EXPORTER_OTLP_TIMEOUT', '10s'],
    ['OTEL_SERVICE_NAME', 'a secret'],
    ['OTEL_RESOURCE_ATTRIBUTES', '=secret'],
    ['GCE_METADATA_HOST', 'http://secret'],
  ])('rejects %s=%s, without the value in the message', (name, value) => {
    const valid = { OIDC_ISSUERS: 'https://a.example.com', OIDC_AUDIENCE: 'a', GOOGLE_CLOUD_PROJECT: 'a' };
    const [line, ...others] = errorsOf({ ...valid, [name]: value });
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

  it('rejects OTEL_TRACES_EXPORTER=console in production', () => {
    expect(invalid({ NODE_ENV: 'production', OTEL_TRACES_EXPORTER: 'console' })).toEqual(['OTEL_TRACES_EXPORTER']);
  });

  it("requires the project with Google's collector", () => {
    const OTEL_EXPORTER_OTLP_ENDPOINT = 'https://telemetry.googleapis.com';
    expect(invalid({ OTEL_EXPORTER_OTLP_ENDPOINT })).toEqual(['GOOGLE_CLOUD_PROJECT']);
    expect(invalid({ OTEL_EXPORTER_OTLP_ENDPOINT, GOOGLE_CLOUD_PROJECT: 'my-project' })).toEqual([]);
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
    const env = loadEnv({ ...REQUIRED, OIDC_ISSUERS: 'https://a.example.com', OIDC_AUDIENCE, OIDC_SCOPE_GRANTS });
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

describe('loadDatabaseEnv', () => {
  it('ignores variables that do not concern the database', () => {
    expect(loadDatabaseEnv({ DATABASE_URL, PORT: 'invalid' })).toMatchObject({ DATABASE_URL });
  });

  it('rejects an invalid variable of the database', () => {
    expect(() => loadDatabaseEnv({ PORT: 'invalid' })).toThrow(/^Invalid configuration: DATABASE_URL must .*$/);
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
  it('names every variable with its default, or an example', () => {
    const defaults = Object.entries(new Env()).map(([name, value]) => [name, String(value ?? EXAMPLE[name])]);
    expect(EXAMPLE).toEqual(Object.fromEntries(defaults));
  });
});
