import type { Logger } from 'pino';
import { EnvError } from '../config/env.js';

/**
 * Logs what nobody caught in the shape of every other line, and ends the process: its state is unknown. The requests in
 * flight have no part in it: a service finishes them first, as at SIGTERM.
 */
export function reportCrashes(logger: Logger): void {
  let crashed = false;
  process.on('exit', () => {
    if (crashed) process.exitCode = 1; // Nest's own end after a signal is 0
  });
  process.on('uncaughtException', (error: NodeJS.ErrnoException & { port?: number }) => {
    crashed = true;
    if (error instanceof EnvError) logger.fatal(error.message);
    else if (error.code === 'EADDRINUSE') logger.fatal(`Port ${error.port} is in use; set PORT to another`);
    else {
      logger.fatal({ err: error }, error.message);
      // False where nobody listens for the signal: in a job, or before the service has been made.
      if (process.emit('SIGTERM', 'SIGTERM')) return;
    }
    process.exit();
  });
}
