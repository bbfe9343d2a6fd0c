// The API key of `npm start` on the embedded database: made once, kept in .data/, with every scope of the build that runs.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import '../dist/app.module.js'; // its controllers declare the scopes
import { apiKeyId, createApiKey, hashApiKey } from '../dist/auth/api-key.js';
import { declaredScopes } from '../dist/auth/auth.decorators.js';

const FILE = join('.data', 'api-key');

const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
await client.connect();
const kept = existsSync(FILE) ? readFileSync(FILE, 'utf8').trim() : '';
// One that somebody has revoked stays so.
if (!(await register(kept))) {
  const { key } = createApiKey();
  writeFileSync(FILE, `${key}\n`, { mode: 0o600 });
  await register(key);
}
await client.end();

async function register(key) {
  const id = apiKeyId(key);
  if (!id) return false;
  const { rowCount } = await client.query(
    `INSERT INTO api_keys (id, name, hash, scopes) VALUES ($1, 'development', $2, $3)
     ON CONFLICT (id) DO UPDATE SET scopes = excluded.scopes WHERE api_keys.revoked_at IS NULL`,
    [id, hashApiKey(key), [...declaredScopes]],
  );
  return rowCount === 1;
}
