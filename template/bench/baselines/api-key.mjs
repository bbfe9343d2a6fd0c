// API key check with the storage format of this service: the key contains an id, which selects the stored hash.
import { createHash, timingSafeEqual } from 'node:crypto';
import { pool } from './pool.mjs';

const CACHED_MS = 30_000;
const verified = new Map();

/** Returns whether the key is valid and has the scope. */
export async function mayUse(key, scope) {
  const [, id] = /^sk_([0-9a-f]{16})_[0-9a-f]{72}$/.exec(key ?? '') ?? [];
  if (!id) return false;
  const cached = verified.get(id);
  const known = cached && cached.until > Date.now() ? cached.known : await find(id);
  if (!known || !timingSafeEqual(Buffer.from(hashOf(key)), Buffer.from(known.hash))) return false;
  if (known !== cached?.known) verified.set(id, { known, until: Date.now() + CACHED_MS });
  return known.scopes.includes(scope);
}

async function find(id) {
  const { rows } = await pool.query({
    name: 'api key',
    text: `SELECT hash, scopes FROM api_keys
            WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())`,
    values: [id],
  });
  return rows[0];
}

const hashOf = (key) => createHash('sha256').update(key).digest('hex');
