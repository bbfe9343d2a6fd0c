import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino';
import type { Env } from '../config/env.js';
import { describeError } from './describe-error.js';

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

/** Anything shorter would also be found where it is not the password, and break the line. */
const MIN_SECRET_LENGTH = 4;

const SECRET_HEADERS = ['["authorization"]', '["cookie"]', '["set-cookie"]', '["x-api-key"]'];
const REDACTED = [...SECRET_HEADERS, ...SECRET_HEADERS.map((header) => `headers${header}`), 'DATABASE_URL'];

const STARTUP_CONTEXTS = new Set(['InstanceLoader', 'RoutesResolver', 'RouterExplorer']);

/** Writes lines in the shape that Cloud Logging reads: https://cloud.google.com/logging/docs/structured-logging */
export async function createLogger(env: LoggerEnv, destination?: DestinationStream): Promise<Logger> {
  return pino(
    {
      level: env.LOG_LEVEL,
      base: env.COMMIT_SHA ? { commit: env.COMMIT_SHA } : {},
      messageKey: 'message',
      timestamp: stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ severity: SEVERITIES[label] }),
        log: ({ err, ...fields }) => (err instanceof Error ? { ...fields, ...describeError(err, env) } : fields),
      },
      // Whole, they would bring what a client and a handler have put into headers and the URL.
      serializers: { req: () => undefined, res: () => undefined },
      redact: { paths: REDACTED, censor: '[redacted]' },
      hooks: {
        streamWrite: redactCredentials(env.DATABASE_URL),
        // Nest tells its wiring in a line per module and route: for debugging only.
        logMethod(args, method, level) {
          const context = Reflect.get(Object(args[0]), 'context');
          if (level === this.levels.values.info && STARTUP_CONTEXTS.has(context)) this.debug(...args);
          else method.apply(this, args);
        },
      },
    },
    destination ?? (env.LOG_FORMAT === 'pretty' ? await prettyStream() : standardOutput()),
  );
}

/** Written at once: Cloud Run takes the CPU away between requests, and a buffer would wait. A full disk costs lines alone. */
function standardOutput(): DestinationStream {
  const maxLength = 1024 ** 2; // characters that are kept until they can be written
  return pino.destination({ fd: 1, sync: true, maxLength }).on('error', () => undefined);
}

// API keys, JSON Web Tokens, what follows Bearer, and the password in a URL. A client writes much of a line, so none of
// these may read the same text again and again: of the many beginnings in eyJeyJeyJ only the last counts, and no password
// has a slash.
const CREDENTIALS =
  /sk(?:_|%5f)[0-9a-f]{16}(?:_|%5f)\w+|eyJ(?![\w-]*?eyJ)[\w-]+\.[\w-]+\.[\w-]*|(bearer(?: |%20))[\w.~+/=-]{10,}|(:\/\/[^:@/\s"]*:)[^@/\s"]+(?=@)/gi;

/** A credential can stand in any error text, so it is looked for in the finished line; the database's password also alone. */
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
    return text; // a bare %, which the driver takes as it is
  }
}

async function prettyStream(): Promise<DestinationStream> {
  const { default: pretty } = await import('pino-pretty'); // a development dependency, absent in production
  return pretty({
    sync: true,
    messageKey: 'message',
    levelKey: 'severity',
    timestampKey: 'time',
    errorLikeObjectKeys: [],
    ignore: 'commit,context,requestId,method,path,status,durationMs,spanId',
    messageFormat: '{if context}[{context}] {end}{message}',
  });
}
