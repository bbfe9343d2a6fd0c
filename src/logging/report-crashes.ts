import type { Logger } from 'pino';
import { EnvError } from '../config/env.js';

/** Logs what nobody caught in the shape of every other line, and ends the process: its state is unknown. */
export function reportCrashes(logger: Logger): void {
  process.on('uncaughtException', (error: NodeJS.ErrnoException & { port?: number }) => {
    if (error instanceof EnvError) logger.fatal(error.message);
    else if (error.code === 'EADDRINUSE') logger.fatal(`Port ${error.port} is in use; set PORT to another`);
    else logger.fatal({ err: error }, error.message);
    process.exit(1);
  });
}
