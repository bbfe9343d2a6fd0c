// The API key of `npm start` on the embedded database: created once, kept in .data/, with every declared scope.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import '../../build/app.module.js'; // its controllers declare the scopes
import { parseApiKeyId, createApiKey, hashApiKey } from '../../build/platform/auth/api-key.js';
import { declaredScopes } from '../../build/platform/auth/auth.decorators.js';
import { DEVELOPMENT, startPostgres } from './postgres.mjs';

const FILE = join('.data', 'api-key');

// Ignores DATABASE_URL: no other database ever gets such a key.
const database = await startPostgres(DEVELOPMENT);
const client = new pg.Client({ connectionString: database.url });
await client.connect();
const kept = existsSync(FILE) ? readFileSync(FILE, 'utf8').trim() : '';
// A revoked key stays revoked.
if (!(await register(kept))) {
  const { key } = createApiKey();
  // Written to a new file, because an existing one would keep its mode.
  writeFileSync(`${FILE}.${process.pid}`, `${key}\n`, { mode: 0o600 });
  renameSync(`${FILE}.${process.pid}`, FILE);
  await register(key);
}
await client.end();
await database.stop();

async function register(key) {
  const id = parseApiKeyId(key);
  if (!id) return false;
  const { rowCount } = await client.query(
    `INSERT INTO api_keys (id, name, hash, scopes) VALUES ($1, 'development', $2, $3)
     ON CONFLICT (id) DO UPDATE SET scopes = excluded.scopes
       WHERE api_keys.name = excluded.name AND api_keys.hash = excluded.hash AND api_keys.revoked_at IS NULL`,
    [id, hashApiKey(key), [...declaredScopes]],
  );
  return rowCount === 1;
}
