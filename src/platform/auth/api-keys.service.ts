import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { EntityManager, Repository } from 'typeorm';
import { BackgroundWrites } from '../database/background-writes.js';
import { parseApiKeyId, verifyApiKey } from './api-key.js';
import { ApiKey } from './api-key.entity.js';
import { CredentialError, type Principal } from './principal.js';

/** An upper bound on how long a revoked key keeps working. */
const CACHE_TTL_MS = 30_000;
/** Upper bound on memory: about 10 MB. Above it the oldest entry is dropped. */
const MAX_CACHED_KEYS = 10_000;

/** A stored key. The database decides whether it is valid, by its own clock and independently of date formats. */
interface StoredKey extends Pick<ApiKey, 'name' | 'hash' | 'scopes' | 'expiresAt'> {
  state: 'valid' | 'revoked' | 'expired';
  /** The time for which the state is true: until the key expires, and at most CACHE_TTL_MS. */
  cacheMs: number;
}

interface VerifiedKey {
  principal: Principal;
  hash: string;
  /** A time of the monotonic clock. */
  until: number;
}

const SELECT_KEY = `
  SELECT name, hash, scopes, expires_at AS "expiresAt",
         CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN expires_at <= now() THEN 'expired' ELSE 'valid' END AS state,
         floor(1000 * extract(epoch FROM
           greatest(least(expires_at, now() + interval '${CACHE_TTL_MS} ms'), now()) - now()))::integer AS "cacheMs"
    FROM api_keys WHERE id = $1`;

/** The condition is for the other instances, which record the use of the same keys. Skips a row that is locked. */
const UPDATE_LAST_USED = `
  UPDATE api_keys SET last_used_at = now() WHERE id IN (
    SELECT id FROM api_keys
     WHERE id = ANY($1) AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
       FOR UPDATE SKIP LOCKED)`;

@Injectable()
export class ApiKeysService {
  /** Valid keys by id: guessing cannot fill the cache. */
  private readonly verified = new Map<string, VerifiedKey>();
  private readonly used = new Set<string>();

  constructor(
    @InjectRepository(ApiKey) private readonly keys: Repository<ApiKey>,
    private readonly writes: BackgroundWrites,
  ) {}

  /** Returns the principal of a key that was verified before, without a query. */
  findVerified(token: unknown): Principal | undefined {
    const cached = typeof token === 'string' ? this.cached(token.split('_', 2)[1] ?? '') : undefined;
    return cached && verifyApiKey(token as string, cached.hash) ? cached.principal : undefined;
  }

  /**
   * @throws {CredentialError}
   * @throws {Error} of the database
   */
  async authenticate(token: string): Promise<Principal> {
    const verified = this.findVerified(token);
    if (verified) return verified;
    const id = parseApiKeyId(token);
    if (!id) throw new CredentialError('The API key is malformed');
    const now = performance.now();
    const key = this.cached(id) ? undefined : await this.find(id); // a cached key has another secret
    if (!key || !verifyApiKey(token, key.hash)) throw new CredentialError('The API key does not exist');
    // The holder of the whole key may learn its state.
    if (key.state === 'expired') throw new CredentialError('The API key has expired');
    if (key.state !== 'valid') throw new CredentialError('The API key has been revoked');
    const { name, hash, scopes, expiresAt, cacheMs } = key;
    const principal: Principal = { kind: 'api_key', id: `api_key:${id}`, name, scopes, expiresAt };
    this.cache(id, { principal, hash, until: now + cacheMs });
    this.used.add(id);
    this.writes.add('update last_used_at', (manager) => this.updateLastUsed(manager));
    return principal;
  }

  private cached(id: string): VerifiedKey | undefined {
    const key = this.verified.get(id);
    return key && key.until > performance.now() ? key : undefined;
  }

  private cache(id: string, key: VerifiedKey): void {
    this.verified.delete(id); // a new entry is the last
    const [oldest] = this.verified.keys();
    if (oldest && this.verified.size >= MAX_CACHED_KEYS) this.verified.delete(oldest);
    this.verified.set(id, key);
  }

  private async find(id: string): Promise<StoredKey | undefined> {
    const [key] = await this.keys.query<StoredKey[]>(SELECT_KEY, [id]);
    return key;
  }

  private async updateLastUsed(manager: EntityManager): Promise<void> {
    const ids = [...this.used];
    this.used.clear();
    await manager.query(UPDATE_LAST_USED, [ids]);
  }
}
