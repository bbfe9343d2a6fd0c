import { plainToInstance, Transform } from 'class-transformer';
import {
  ArrayUnique,
  IsBoolean,
  IsIn,
  IsInt,
  IsNumber,
  IsOptional,
  Matches,
  Max,
  Min,
  ValidateBy,
  type ValidationArguments,
  validateSync,
} from 'class-validator';
import { StartupError } from '../lifecycle/startup-error.js';
import { findDatabaseUrlFault } from './database-url.js';

const DATABASE_URL_FORM = 'postgresql://USER:PASSWORD@HOST:PORT/DATABASE';

/** An entry of OIDC_SCOPE_GRANTS: an issuer and a space (with several issuers), an email address or subject, =, scopes. */
export const OIDC_SCOPE_GRANT = /^(?:(https?:\/\/\S+) )?(\S+)=([^\s=]+(?: [^\s=]+)*)$/;

/** https://opentelemetry.io/docs/languages/sdk-configuration/general/#otel_traces_sampler */
const SAMPLERS = ['always_on', 'always_off', 'traceidratio'].flatMap((name) => [name, `parentbased_${name}`]);

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

  @Flag()
  MCP_ENABLED = false;

  @IsOptional()
  @IsResourceUrl()
  MCP_RESOURCE_URL?: string;

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
  @Word()
  OIDC_AUDIENCE?: string;

  @List(
    (entry) => OIDC_SCOPE_GRANT.test(entry),
    'must be entries such as ci@example.com=orders:read orders:write, separated by commas',
  )
  OIDC_SCOPE_GRANTS: string[] = [];

  @IsOptional()
  @Word()
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
  @Word()
  GOOGLE_CLOUD_PROJECT?: string;

  @IsOptional()
  @Word()
  K_SERVICE?: string;

  @IsOptional()
  @Word()
  K_REVISION?: string;

  // https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
  @Flag()
  OTEL_SDK_DISABLED = false;

  @IsOptional()
  @IsIn(['otlp', 'console', 'none'], { message: 'must be otlp, console or none' })
  OTEL_TRACES_EXPORTER?: 'otlp' | 'console' | 'none';

  @IsIn(['otlp', 'none'], { message: 'must be otlp or none' })
  OTEL_METRICS_EXPORTER: 'otlp' | 'none' = 'none';

  @IsIn(SAMPLERS, { message: `must be one of ${SAMPLERS.join(', ')}` })
  OTEL_TRACES_SAMPLER = 'parentbased_always_on';

  @Ratio()
  OTEL_TRACES_SAMPLER_ARG = 1;

  @Integer(10, 60_000)
  OTEL_BSP_SCHEDULE_DELAY = 5_000;

  @Integer(100, 3_600_000)
  OTEL_METRIC_EXPORT_INTERVAL = 60_000;

  @IsOptional()
  @ValidateBy(
    { name: 'isCollector', validator: { validate: isCollector } },
    { message: 'must be a URL with http:// or https://, without credentials and query; Google requires https://' },
  )
  OTEL_EXPORTER_OTLP_ENDPOINT?: string;

  @Pairs(/^[\w.-]+=[\t\x20-\x7e]*$/, 'must be pairs such as x-api-key=VALUE')
  OTEL_EXPORTER_OTLP_HEADERS = '';

  @IsIn(['http/protobuf', 'http/json'], { message: 'must be http/protobuf or http/json' })
  OTEL_EXPORTER_OTLP_PROTOCOL = 'http/protobuf';

  @Integer(100, 60_000)
  OTEL_EXPORTER_OTLP_TIMEOUT = 10_000;

  @IsOptional()
  @Word()
  OTEL_SERVICE_NAME?: string;

  @Pairs(/^[\w./-]+=\P{Cc}*$/u, 'must be pairs such as deployment.environment.name=staging')
  OTEL_RESOURCE_ATTRIBUTES = '';

  // The variable of Google's client libraries
  @Matches(/^[\w.-]+(:\d+)?$/, { message: 'must be HOST or HOST:PORT' })
  GCE_METADATA_HOST = 'metadata.google.internal';
}

/** The exporter of traces that the OTEL_* variables select. */
export function tracesExporter(env: Env): 'otlp' | 'console' | 'none' {
  if (env.OTEL_SDK_DISABLED) return 'none';
  return env.OTEL_TRACES_EXPORTER ?? (env.OTEL_EXPORTER_OTLP_ENDPOINT ? 'otlp' : 'none');
}

/** The exporter of metrics that the OTEL_* variables select. */
export function metricsExporter(env: Env): 'otlp' | 'none' {
  return env.OTEL_SDK_DISABLED ? 'none' : env.OTEL_METRICS_EXPORTER;
}

/** The configuration errors, one line per variable: name, reason, remedy. Never a value. */
export class EnvError extends StartupError {
  override name = 'EnvError';
}

/**
 * Validates `source` (usually `process.env`). An empty variable counts as unset.
 * @throws {EnvError} with every missing or invalid variable
 */
export function loadEnv(source: NodeJS.ProcessEnv): Env {
  const env = readEnv(source);
  const lines = invalidVariables(env);
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
  if (isGoogleApi(URL.parse(env.OTEL_EXPORTER_OTLP_ENDPOINT ?? '')) && !env.GOOGLE_CLOUD_PROJECT) {
    lines.push('GOOGLE_CLOUD_PROJECT must be set with the OTEL_EXPORTER_OTLP_ENDPOINT of Google');
  }
  if (env.NODE_ENV === 'production' && env.OTEL_TRACES_EXPORTER === 'console') {
    lines.push('OTEL_TRACES_EXPORTER must be otlp or none in production, where each log line is JSON');
  }
  rejectInvalid(lines);
  return env;
}

/**
 * Parses `name=value` pairs with percent-encoded values: https://www.w3.org/TR/baggage/#baggage-http-header-format
 * @throws {URIError} for a malformed pair or encoding
 */
export function parsePairs(text: string): Record<string, string> {
  const pairs = text.split(',').filter((pair) => pair.trim());
  return Object.fromEntries(
    pairs.map((pair) => {
      const [name = '', ...value] = pair.split('=').map((part) => part.trim());
      if (value.length === 0) throw new URIError('The pair has no =');
      return [name, decodeURIComponent(value.join('='))];
    }),
  );
}

/**
 * Validates only the variables of the database. The programs that use nothing else run without the others.
 * @throws {EnvError} with every missing or invalid variable of the database
 */
export function loadDatabaseEnv(source: NodeJS.ProcessEnv): Env {
  const env = readEnv(source);
  rejectInvalid(invalidVariables(env).filter((line) => /^(DATABASE|LOG|NODE_ENV)/.test(line)));
  return env;
}

function readEnv(source: NodeJS.ProcessEnv): Env {
  const names = Object.keys(new Env());
  const given = Object.fromEntries(names.flatMap((name) => (source[name] ? [[name, source[name]]] : [])));
  return plainToInstance(Env, { ...environmentDefaults(source), ...given });
}

/** Returns a line for each invalid variable. */
function invalidVariables(env: Env): string[] {
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
  return lines;
}

function rejectInvalid(lines: string[]): void {
  if (lines.length === 0) return;
  throw new EnvError(`Invalid configuration: ${lines.join('\n  ')}`);
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
  return { DOCS_ENABLED: true, MCP_ENABLED: true, LOG_FORMAT: process.stdout.isTTY ? 'pretty' : 'json' };
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

function Ratio(): PropertyDecorator {
  const message = 'must be a number from 0 to 1';
  return (target, property) => {
    Transform(({ value }) => (/^\d(\.\d+)?$/.test(value) ? Number(value) : value))(target, property);
    for (const rule of [IsNumber({}, { message }), Min(0, { message }), Max(1, { message })]) rule(target, property);
  };
}

/** Text for {@link parsePairs}. */
function Pairs(pattern: RegExp, message: string): PropertyDecorator {
  const validate = (text: string) => {
    try {
      return Object.entries(parsePairs(text)).every((pair) => pattern.test(pair.join('=')));
    } catch {
      return false;
    }
  };
  return ValidateBy(
    { name: 'pairs', validator: { validate } },
    { message: `${message}, separated by commas, with percent-encoded values` },
  );
}

/** Text without whitespace, which is easily copied by mistake. */
function Word(): PropertyDecorator {
  return Matches(/^\S+$/, { message: 'must not contain whitespace' });
}

/** Comma-separated entries. */
function List(isValid: (entry: string) => boolean, message: string): PropertyDecorator {
  return (target, property) => {
    Transform(({ value }) => (typeof value === 'string' ? value.split(',').map((entry) => entry.trim()) : value))(
      target,
      property,
    );
    ValidateBy({ name: 'list', validator: { validate: isValid } }, { each: true, message })(target, property);
    ArrayUnique({ message: 'must name each entry once' })(target, property);
  };
}

/** Compared as text with the `iss` of a token: https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation */
function isIssuer(entry: string): boolean {
  const url = URL.parse(entry);
  const isLocal = ['localhost', '127.0.0.1'].includes(url?.hostname ?? '');
  return (url?.protocol === 'https:' || (url?.protocol === 'http:' && isLocal)) && !/[?#\s]/.test(entry);
}

/** Credentials belong in OTEL_EXPORTER_OTLP_HEADERS, because the log names the URL. */
function isCollector(value: string): boolean {
  const url = URL.parse(value);
  const isAllowed = url?.protocol === 'https:' || (url?.protocol === 'http:' && !isGoogleApi(url));
  return isAllowed && !url.username && !url.password && !/[?#\s]/.test(value);
}

/** Returns whether a URL is one of Google's APIs, which require an access token. */
export function isGoogleApi(url: URL | null): boolean {
  return url?.hostname.endsWith('.googleapis.com') ?? false;
}

/** Clients compare it as text with the URL that they call: https://www.rfc-editor.org/rfc/rfc9728#section-3.3 */
function IsResourceUrl(): PropertyDecorator {
  return ValidateBy({
    name: 'isResourceUrl',
    validator: {
      validate: (value) => isIssuer(String(value)) && URL.parse(String(value))?.pathname === '/mcp',
      defaultMessage: () => 'must be the public URL of the MCP endpoint, such as https://orders.example.com/mcp',
    },
  });
}

function isOrigin(entry: string): boolean {
  return /^https?:/.test(entry) && URL.parse(entry)?.origin === entry;
}

function IsPostgresUrl(): PropertyDecorator {
  return ValidateBy({
    name: 'isPostgresUrl',
    validator: {
      validate: (value) => typeof value === 'string' && !findDatabaseUrlFault(value),
      defaultMessage: ({ value } = {} as ValidationArguments) =>
        value === undefined
          ? `must be set to ${DATABASE_URL_FORM}; on a developer machine \`npm start\` starts an embedded database`
          : `${findDatabaseUrlFault(value)}; the form is ${DATABASE_URL_FORM}`,
    },
  });
}
