import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { createTestDatabase } from '../support/test-database.ts';

const INSTANCE = 'project:region:instance';

/** Creates a database that a container reaches like one of Cloud SQL: through a Unix socket in /cloudsql. */
export async function createDatabase(options) {
  const database = await createTestDatabase(options);
  const { username, password, pathname } = new URL(database.url);
  const directory = mkdtempSync(join(tmpdir(), 'cloudsql-'));
  chmodSync(directory, 0o755); // the user of the image has another id
  const socket = join(directory, INSTANCE, '.s.PGSQL.5432');
  mkdirSync(dirname(socket));
  const proxy = await startTcpProxy(database.url, socket);
  chmodSync(socket, 0o777);
  return {
    ...database,
    ...proxy,
    name: pathname.slice(1),
    directory,
    url: `postgresql://${username}:${password}@${pathname}?host=/cloudsql/${INSTANCE}`,
    async remove() {
      await proxy.stop();
      await database.drop();
      rmSync(directory, { recursive: true });
    },
  };
}
