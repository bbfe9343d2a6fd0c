// Writes app.cache, V8's code cache: starts the service without a database, sends it requests, and saves the compiled code.
// Must run on the same version of Node as the service.
const { subscribe } = require('node:diagnostics_channel');
const { rmSync, writeFileSync } = require('node:fs');
const { cache, launch } = require('./launch.cjs');

const PATHS = ['/', '/health/startup', '/health/live', '/health/ready', '/v1/me', '/nowhere'];

rmSync(cache, { force: true });
process.env = {
  NODE_ENV: 'production',
  HOST: '127.0.0.1',
  PORT: '0',
  DATABASE_URL: 'postgresql://127.0.0.1:1/none',
  LOG_LEVEL: 'silent',
};
async function exercise({ server }) {
  for (const path of PATHS)
    await fetch(`http://127.0.0.1:${server.address().port}${path}`).then((answer) => answer.text());
  process.kill(process.pid, 'SIGTERM');
}

subscribe('tracing:net.server.listen:asyncEnd', (message) => void exercise(message));
const script = launch('main');
process.on('exit', (code) => code === 0 && writeFileSync(cache, script.createCachedData()));
