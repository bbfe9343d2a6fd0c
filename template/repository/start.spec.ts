import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, it } from '@jest/globals';
import { createTestDatabase } from '../../test/support/test-database.js';
import { until } from '../../test/support/until.js';

it.each(['production', 'development'])(
  'npm start creates no API key in a given database, NODE_ENV=%s',
  async (NODE_ENV) => {
    const database = await createTestDatabase();
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const port = String((server.address() as AddressInfo).port);
    server.close();
    const env = { NODE_ENV, PORT: port, HOST: '127.0.0.1', DATABASE_URL: database.url, PATH: process.env.PATH };
    const child = spawn(process.execPath, ['tools/dev/start.mjs'], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    const output = text(child.stdout);
    await until(async () => (await fetch(`http://127.0.0.1:${port}/health/ready`).catch(() => undefined))?.ok ?? false);
    child.kill('SIGINT');
    expect(await output).not.toMatch(/sk_|curl/);
    expect(await database.query('SELECT FROM api_keys')).toEqual([]);
    await database.drop();
  },
);
