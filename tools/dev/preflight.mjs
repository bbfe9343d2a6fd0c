// Checks before an installation, which takes minutes. Must also run on old versions of Node.
import * as fs from 'node:fs';
import { createServer } from 'node:net';

const OLDEST_NODE = [20, 20];
const MIN_FREE_BYTES = 1.5e9; // node_modules and npm's cache

/** Returns the reason why the installation, or the command after it, cannot succeed; undefined if there is none. */
export async function findObstacle() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
    return `Node ${process.versions.node} is too old. Install Node ${OLDEST_NODE.join('.')} or newer: https://nodejs.org`;
  }
  try {
    fs.accessSync('.', fs.constants.W_OK);
  } catch (error) {
    return `The folder ${process.cwd()} is not writable (${error.code}). Change its owner, or clone into another folder.`;
  }
  const { bavail, bsize } = fs.statfsSync('.');
  if (bavail * bsize < MIN_FREE_BYTES) {
    return `The disk of ${process.cwd()} has ${Math.floor((bavail * bsize) / 1e6)} MB left. The installation needs ${MIN_FREE_BYTES / 1e6} MB.`;
  }
  if (fs.existsSync('.env')) process.loadEnvFile();
  const { DATABASE_URL, HOST, PORT, npm_lifecycle_event: event } = process.env;
  if (DATABASE_URL && !/^postgres(ql)?:\/\//.test(DATABASE_URL)) {
    return 'DATABASE_URL must be a URL that begins with postgresql://. Unset it to use the embedded database.';
  }
  if (!['prestart', 'predev'].includes(event)) return undefined;
  const port = Number(PORT || 8080);
  if (!(Number.isInteger(port) && port >= 0 && port < 65_536)) return 'PORT must be an integer from 0 to 65535.';
  const code = await listenError(port, HOST || '0.0.0.0');
  if (code === 'EADDRINUSE') {
    const command = event === 'predev' ? 'npm run dev' : 'npm start';
    return `Port ${port} is in use. Set PORT to another one: PORT=${port + 1} ${command}`;
  }
  return code && `The service cannot listen on HOST and PORT (${code}). Unset them, or correct them.`;
}

/** Resolves to the code of the error of listening, such as EADDRINUSE; undefined if the port is free. */
export function listenError(port, host) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', ({ code }) => resolve(code));
    server.listen(port, host, () => server.close(() => resolve(undefined)));
  });
}
