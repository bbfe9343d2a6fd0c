// Imported first by the programs, for its effect: a failure of any later import is reported too.
import { inspect } from 'node:util';
import { loggingEnv } from '../config/env.js';
import { createLogger } from '../logging/logger.js';
import { flushStandardOutput } from '../logging/standard-output.js';
import { StartupError } from './startup-error.js';

let crashed = false;

let cached: ReturnType<typeof createLogger> | undefined;
const getLogger = () => (cached ??= createLogger(loggingEnv(process.env)));

process.on('exit', () => {
  if (crashed) process.exitCode = 1; // Nest exits with 0 after a signal
});
process.on('uncaughtException', (thrown: unknown) => void report(thrown));

process.removeAllListeners('warning');
process.on('warning', (warning) => void warn(warning));

/**
 * Logs an uncaught exception as one line in the format of every other line and ends the process, whose state is unknown.
 * In-flight requests finish first, as on SIGTERM.
 */
async function report(thrown: unknown): Promise<void> {
  crashed = true;
  const logger = await getLogger();
  const error =
    thrown instanceof Error ? thrown : new Error(`Uncaught ${typeof thrown === 'string' ? thrown : inspect(thrown)}`);
  if (error instanceof StartupError) logger.fatal(error.fields, error.message);
  else {
    logger.fatal({ err: error }, error.message);
    // False without a listener: in a job, or before the application is created.
    if (process.emit('SIGTERM', 'SIGTERM')) return;
  }
  await flushStandardOutput();
  process.exit();
}

/** Node's own listener would write the warning to stderr, as text. */
async function warn({ name, message }: Error): Promise<void> {
  const logger = await getLogger();
  logger.warn(`${name}: ${message}`);
}
