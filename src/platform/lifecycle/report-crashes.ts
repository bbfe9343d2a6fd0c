import type { Logger } from 'pino';
import { EnvError } from '../config/env.js';

/**
 * Logs an uncaught exception in the format of every other line and ends the process, whose state is unknown. In-flight
 * requests finish first, as on SIGTERM.
 */
export function reportCrashes(logger: Logger): void {
  let crashed = false;
  process.on('exit', () => {
    if (crashed) process.exitCode = 1; // Nest exits with 0 after a signal
  });
  process.on('uncaughtException', (error: NodeJS.ErrnoException & { port?: number }) => {
    crashed = true;
    if (error instanceof EnvError) logger.fatal(error.message);
    else if (error.code === 'EADDRINUSE') logger.fatal(`Port ${error.port} is in use; set PORT to another`);
    else {
      logger.fatal({ err: error }, error.message);
      // False without a listener: in a job, or before the application is created.
      if (process.emit('SIGTERM', 'SIGTERM')) return;
    }
    process.exit();
  });
}
