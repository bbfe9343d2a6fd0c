import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino';
import type { Env } from '../config/env.js';
import { requestContext } from '../http/request-context.js';
import { describeError } from './describe-error.js';
import { limitLine } from './limit-line.js';
import { prettyOutput } from './pretty-output.js';
import { standardOutput } from './standard-output.js';

type LoggerEnv = Pick<Env, 'LOG_LEVEL' | 'LOG_FORMAT'> &
  Partial<Pick<Env, 'DATABASE_URL' | 'COMMIT_SHA' | 'K_SERVICE' | 'K_REVISION'>>;

// https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry#LogSeverity
const SEVERITIES: Record<string, string> = {
  trace: 'DEBUG',
  debug: 'DEBUG',
  info: 'INFO',
  warn: 'WARNING',
  error: 'ERROR',
  fatal: 'CRITICAL',
};

/** A shorter password would match unrelated text. */
const MIN_SECRET_LENGTH = 4;

const SECRET_HEADERS = ['["authorization"]', '["cookie"]', '["set-cookie"]', '["x-api-key"]'];
const REDACTED = [...SECRET_HEADERS, ...SECRET_HEADERS.map((header) => `headers${header}`), 'DATABASE_URL'];

const STARTUP_CONTEXTS = new Set(['InstanceLoader', 'RoutesResolver', 'RouterExplorer']);

/** Writes Cloud Logging's structured JSON: https://cloud.google.com/logging/docs/structured-logging */
export async function createLogger(env: LoggerEnv, destination?: DestinationStream): Promise<Logger> {
  const redact = redactCredentials(env.DATABASE_URL);
  const reportDropped = (count: number) =>
    logger.error(`Dropped ${count} log lines, because standard output was not read`);
  const logger = pino(
    {
      level: env.LOG_LEVEL,
      base: env.COMMIT_SHA ? { commit: env.COMMIT_SHA } : {},
      messageKey: 'message',
      timestamp: stdTimeFunctions.isoTime,
      mixin: () => ({ ...requestContext.getStore()?.logFields }),
      formatters: {
        level: (label) => ({ severity: SEVERITIES[label] }),
        log: ({ err, ...fields }) => (err instanceof Error ? { ...fields, ...describeError(err, env) } : fields),
      },
      // Whole requests and responses contain data of clients and handlers.
      serializers: { req: () => undefined, res: () => undefined },
      redact: { paths: REDACTED, censor: '[redacted]' },
      hooks: {
        streamWrite: (line) => limitLine(redact(line)),
        // Nest logs a line per module and route: for debugging only.
        logMethod(args, method, level) {
          const context = Reflect.get(Object(args[0]), 'context');
          if (context === 'ExceptionHandler') return; // Nest throws the error too, and report-crashes.ts logs it
          if (level === this.levels.values.info && STARTUP_CONTEXTS.has(context)) this.debug(...args);
          else method.apply(this, args);
        },
      },
    },
    destination ?? (env.LOG_FORMAT === 'pretty' ? await prettyOutput() : standardOutput(reportDropped)),
  );
  return logger;
}

// API keys, JSON Web Tokens, bearer tokens, and passwords in URLs. Clients control much of a line, so the pattern must not
// backtrack: only the last eyJ of eyJeyJeyJ starts a match, and a password contains no slash.
const CREDENTIALS =
  /sk(?:_|%5f)[0-9a-f]{16}(?:_|%5f)\w+|eyJ(?![\w-]*?eyJ)[\w-]+\.[\w-]+\.[\w-]*|(bearer(?: |%20))[\w.~+/=-]{10,}|(:\/\/[^:@/\s"]*:)(?!PASSWORD@HOST)[^@/\s"]+(?=@)/gi;

/** Redacts the finished line, because any error text may contain a credential. The database password is redacted everywhere. */
function redactCredentials(databaseUrl = ''): (line: string) => string {
  const written = /:\/\/[^:@/]*:([^/?#]+)@/.exec(databaseUrl)?.[1] ?? '';
  const forms = [written, decoded(written)]
    .map((form) => JSON.stringify(form).slice(1, -1))
    .filter((form) => form.length >= MIN_SECRET_LENGTH);
  return (line) =>
    forms.reduce((text, form) => text.replaceAll(form, '[redacted]'), line).replaceAll(CREDENTIALS, '$1$2[redacted]');
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a bare %, which the driver accepts
  }
}
