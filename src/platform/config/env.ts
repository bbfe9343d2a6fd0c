import { plainToInstance, Transform } from 'class-transformer';
import {
  buildMessage,
  IsBoolean,
  IsIn,
  IsInt,
  IsOptional,
  Matches,
  Max,
  Min,
  ValidateBy,
  validateSync,
} from 'class-validator';
import { Client } from 'pg';

/** An entry of OIDC_SCOPE_GRANTS: an issuer and a space (with several issuers), an e-mail address or subject, =, scopes. */
export const OIDC_SCOPE_GRANT = /^(?:(https?:\/\/\S+) )?(\S+)=([^\s=]+(?: [^\s=]+)*)$/;

/** Every variable that the service reads, with its default. Durations are milliseconds. `.env.example` documents them. */
export class Env {
  @IsIn(['development', 'test', 'production'], { message: 'must be development, test or production' })
  NODE_ENV: 'development' | 'test' | 'production' = 'development';

  @Integer(0, 65_535)
  PORT = 8080;

  @Matches(/^[\w.:-]+$/, { message: 'must be an address or host name to listen on' })
  HOST = '0.0.0.0';

  @IsIn(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
    message: 'must be trace, debug, info, warn, error, fatal or silent',
  })
  LOG_LEVEL = 'info';

  @IsIn(['json', 'pretty'], { message: 'must be json or pretty (pretty needs a development dependency)' })
  LOG_FORMAT: 'json' | 'pretty' = 'json';

  @Flag()
  DOCS_ENABLED = false;

  @IsPostgresUrl()
  DATABASE_URL!: string;

  @Integer(1, 1_000)
  DATABASE_POOL_MAX = 10;

  @Integer(100, 60_000)
  DATABASE_CONNECT_TIMEOUT_MS = 2_000;

  @Integer(10, 60_000)
  DATABASE_POOL_ACQUIRE_TIMEOUT_MS = 800;

  @Integer(1_000, 240_000)
  DATABASE_STARTUP_WARN_AFTER_MS = 30_000;

  @Integer(100, 600_000)
  DATABASE_STATEMENT_TIMEOUT_MS = 5_000;

  @Flag()
  DATABASE_PREPARED_STATEMENTS = true;

  @List(isIssuer, 'must be URLs with https:// and no query, separated by commas')
  OIDC_ISSUERS: string[] = [];

  @IsOptional()
  OIDC_AUDIENCE?: string;

  @List(
    (entry) => OIDC_SCOPE_GRANT.test(entry),
    'must be entries such as ci@example.com=orders:read orders:write, separated by commas',
  )
  OIDC_SCOPE_GRANTS: string[] = [];

  @IsOptional()
  OIDC_CLIENT_ID?: string;

  @List(isOrigin, 'must be origins such as https://app.example.com, separated by commas, and never *')
  CORS_ORIGINS: string[] = [];

  @Integer(0, 10_000)
  RATE_LIMIT_PER_MINUTE = 600;

  @Integer(0, 10)
  TRUST_PROXY_HOPS = 1;

  @Integer(1, 100_000)
  CONCURRENCY_LIMIT = 100;

  @Integer(100, 3_600_000)
  HANDLER_TIMEOUT_MS = 25_000;

  @Integer(0, 600_000)
  SHUTDOWN_TIMEOUT_MS = 8_000;

  @Integer(0, 600_000)
  SHUTDOWN_DELAY_MS = 0;

  @IsOptional()
  @Matches(/^[0-9a-f]{7,40}$/, { message: 'must be the 7 to 40 hexadecimal digits of a commit' })
  COMMIT_SHA?: string;

  @IsOptional()
  GOOGLE_CLOUD_PROJECT?: string;

  @IsOptional()
  K_SERVICE?: string;

  @IsOptional()
  K_REVISION?: string;
}

/** The configuration errors, one line per variable: name, reason, remedy. Never a value. */
export class EnvError extends Error {
  override name = 'EnvError';
}

/**
 * Validates `source` (usually `process.env`). An empty variable counts as unset.
 * @throws {EnvError} with every missing or invalid variable
 */
export function loadEnv(source: NodeJS.ProcessEnv): Env {
  const names = Object.keys(new Env());
  const given = Object.fromEntries(names.flatMap((name) => (source[name] ? [[name, source[name]]] : [])));
  const env = plainToInstance(Env, { ...environmentDefaults(source), ...given });
  const lines = validateSync(env).map(({ property, constraints }) => {
    const reason = Object.values(constraints ?? {})[0];
    const fallback = new Env()[property as keyof Env];
    return fallback === undefined || String(fallback) === ''
      ? `${property} ${reason}`
      : `${property} ${reason}; unset it for the default, ${fallback}`;
  });
  if (env.NODE_ENV === 'production' && env.LOG_FORMAT === 'pretty') {
    lines.push('LOG_FORMAT must be json in production, where Cloud Logging reads it; unset it');
  }
  if (env.SHUTDOWN_DELAY_MS > env.SHUTDOWN_TIMEOUT_MS) {
    lines.push('SHUTDOWN_DELAY_MS must not exceed SHUTDOWN_TIMEOUT_MS, which includes it; lower it');
  }
  if (env.OIDC_ISSUERS.length > 0 && !env.OIDC_AUDIENCE) {
    lines.push('OIDC_AUDIENCE must be set with OIDC_ISSUERS, so that tokens issued for other services are rejected');
  }
  if (env.OIDC_ISSUERS.length === 0 && (env.OIDC_SCOPE_GRANTS.length > 0 || env.OIDC_CLIENT_ID)) {
    lines.push(
      'OIDC_ISSUERS must be set with OIDC_SCOPE_GRANTS or OIDC_CLIENT_ID: without an issuer, no token is accepted',
    );
  }
  const callers = env.OIDC_SCOPE_GRANTS.map((entry) => OIDC_SCOPE_GRANT.exec(entry)?.slice(1) ?? []);
  if (callers.some(([issuer]) => issuer && !env.OIDC_ISSUERS.includes(issuer))) {
    lines.push('OIDC_SCOPE_GRANTS must name only issuers of OIDC_ISSUERS');
  }
  // The same subject or address may belong to different people at different issuers.
  if (env.OIDC_ISSUERS.length > 1 && callers.some(([issuer]) => !issuer)) {
    lines.push('OIDC_SCOPE_GRANTS must begin each entry with its issuer and a space, because OIDC_ISSUERS has several');
  }
  if (new Set(callers.map(([issuer, caller]) => `${issuer} ${caller}`)).size < callers.length) {
    lines.push('OIDC_SCOPE_GRANTS must name each caller once, with all of its scopes');
  }
  if (lines.length > 0) {
    throw new EnvError(`Invalid configuration:\n${lines.map((line) => `  ${line}`).join('\n')}`);
  }
  return env;
}

/** The variables that logging needs, before validation: a configuration error is logged too. */
export function loggingEnv(source: NodeJS.ProcessEnv) {
  const { DATABASE_URL, COMMIT_SHA, K_SERVICE, K_REVISION } = source;
  const { LOG_LEVEL, LOG_FORMAT } = { ...new Env(), ...environmentDefaults(source) };
  return { LOG_LEVEL, LOG_FORMAT, DATABASE_URL, COMMIT_SHA, K_SERVICE, K_REVISION };
}

/** Defaults for development; in production the defaults of {@link Env} apply. */
function environmentDefaults({ NODE_ENV }: NodeJS.ProcessEnv): Partial<Env> {
  if (NODE_ENV === 'production') return {};
  return { DOCS_ENABLED: true, LOG_FORMAT: process.stdout.isTTY ? 'pretty' : 'json' };
}

function Integer(min: number, max: number): PropertyDecorator {
  const message = `must be an integer from ${min} to ${max}`;
  return (target, property) => {
    Transform(({ value }) => (/^\d{1,9}$/.test(value) ? Number(value) : value))(target, property);
    for (const rule of [IsInt({ message }), Min(min, { message }), Max(max, { message })]) {
      rule(target, property);
    }
  };
}

function Flag(): PropertyDecorator {
  return (target, property) => {
    Transform(({ value }) => (value === 'true' ? true : value === 'false' ? false : value))(target, property);
    IsBoolean({ message: 'must be true or false' })(target, property);
  };
}

/** Comma-separated entries. */
function List(isValid: (entry: string) => boolean, message: string): PropertyDecorator {
  return (target, property) => {
    Transform(({ value }) => (typeof value === 'string' ? value.split(',').map((entry) => entry.trim()) : value))(
      target,
      property,
    );
    ValidateBy({ name: 'list', validator: { validate: isValid } }, { each: true, message })(target, property);
  };
}

/** Compared as text with the `iss` of a token: https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation */
function isIssuer(entry: string): boolean {
  const url = URL.parse(entry);
  const isLocal = ['localhost', '127.0.0.1'].includes(url?.hostname ?? '');
  return (url?.protocol === 'https:' || (url?.protocol === 'http:' && isLocal)) && !/[?#\s]/.test(entry);
}

function isOrigin(entry: string): boolean {
  return /^https?:/.test(entry) && URL.parse(entry)?.origin === entry;
}

function IsPostgresUrl(): PropertyDecorator {
  return ValidateBy({
    name: 'isPostgresUrl',
    validator: {
      validate: (value) => typeof value === 'string' && isPostgresUrl(value),
      defaultMessage: buildMessage(
        () =>
          'must be set to postgresql://USER:PASSWORD@HOST:PORT/DATABASE; ' +
          'on a developer machine `npm start` starts an embedded database',
      ),
    },
  });
}

function isPostgresUrl(url: string): boolean {
  if (!/^postgres(ql)?:\/\//.test(url)) return false;
  try {
    // The driver's own parser accepts forms that URL rejects, such as Cloud SQL's `@/name?host=/cloudsql/…`.
    return Boolean(new Client({ connectionString: url }).database);
  } catch {
    return false;
  }
}
