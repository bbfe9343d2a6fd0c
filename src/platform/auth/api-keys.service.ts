import { Injectable, Logger } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Repository } from 'typeorm';
import { parseApiKeyId, verifyApiKey } from './api-key.js';
import { ApiKey } from './api-key.entity.js';
import { CredentialError, type Principal } from './principal.js';

/** An upper bound on how long a revoked key keeps working. */
const CACHE_TTL_MS = 30_000;
const LAST_USED_INTERVAL_MS = 60_000;

@Injectable()
export class ApiKeysService {
  private readonly logger = new Logger(ApiKeysService.name);
  /** Verified keys by id: guessing cannot fill the cache. */
  private readonly verified = new Map<string, { key: ApiKey; until: number }>();

  constructor(@InjectRepository(ApiKey) private readonly keys: Repository<ApiKey>) {}

  /**
   * @throws {CredentialError}
   * @throws {Error} of the database
   */
  async authenticate(token: string): Promise<Principal> {
    const id = parseApiKeyId(token);
    if (!id) throw new CredentialError('The API key is malformed');
    const cached = this.verified.get(id);
    const key = cached && cached.until > Date.now() ? cached.key : await this.keys.findOneBy({ id });
    if (!key || !verifyApiKey(token, key.hash)) {
      throw new CredentialError('The API key does not exist');
    }
    // The holder of the whole key may learn its state.
    if (key.revokedAt) throw new CredentialError('The API key has been revoked');
    if (key.expiresAt && key.expiresAt.valueOf() <= Date.now()) {
      throw new CredentialError('The API key has expired');
    }
    if (key !== cached?.key) {
      this.verified.set(id, { key, until: Date.now() + CACHE_TTL_MS });
      await this.updateLastUsed(key);
    }
    return { kind: 'api_key', id: `api_key:${id}`, name: key.name, scopes: key.scopes, expiresAt: key.expiresAt };
  }

  /** The statement repeats the condition, because other instances update the same key. */
  private async updateLastUsed({ id, lastUsedAt }: ApiKey): Promise<void> {
    if (lastUsedAt && Date.now() - lastUsedAt.valueOf() < LAST_USED_INTERVAL_MS) return;
    try {
      await this.keys.query(
        `UPDATE api_keys SET last_used_at = now()
          WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')`,
        [id],
      );
    } catch (error) {
      this.logger.warn(`Failed to update last_used_at of API key ${id}: ${String(error)}`); // the key is still valid
    }
  }
}
