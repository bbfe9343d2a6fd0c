import { once } from 'node:events';
import { createServer } from 'node:net';
import { StartupError } from './startup-error.js';

/**
 * Opens and closes the port, before the application starts.
 * @throws {StartupError} that names the variable and the remedy
 */
export async function assertCanListen(host: string, port: number): Promise<void> {
  const server = createServer();
  try {
    await once(server.listen(port, host), 'listening');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') throw new StartupError(`Port ${port} is in use; set PORT to another one`);
    if (code === 'EACCES') throw new StartupError('PORT must be above 1023, because lower ports require privileges');
    throw new StartupError(`HOST must be an address of this machine (${code}); unset it for the default, 0.0.0.0`);
  }
  await once(server.close(), 'close');
}
