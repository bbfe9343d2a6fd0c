import { createApiKey } from '../../src/platform/auth/api-key.js';
import { declaredScopes } from '../../src/platform/auth/auth.decorators.js';
import type { TestDatabase } from './test-database.js';

/** Registers an API key and returns it. By default it has every scope that a loaded controller declares. */
export async function givenApiKey(
  database: Pick<TestDatabase, 'query'>,
  {
    scopes = [...declaredScopes],
    name = 'test',
    expiresAt = null as Date | null,
    revokedAt = null as Date | null,
  } = {},
): Promise<string> {
  const { key, id, hash } = createApiKey();
  await database.query(
    'INSERT INTO api_keys (id, name, hash, scopes, expires_at, revoked_at) VALUES ($1, $2, $3, $4, $5, $6)',
    [id, name, hash, scopes, expiresAt, revokedAt],
  );
  return key;
}
