import { Injectable, Logger } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Repository } from 'typeorm';
import { parseApiKeyId, verifyApiKey } from './api-key.js';
import { ApiKey } from './api-key.entity.js';
import { CredentialError, type Principal } from './principal.js';

/** How long a key is taken for what it was: a revocation works on every instance after this. */
const CACHE_TTL_MS = 30_000;
const LAST_USED_INTERVAL_MS = 60_000;

@Injectable()
export class ApiKeysService {
  private readonly logger = new Logger(ApiKeysService.name);
  /** Only keys that have proved themselves come in, so that guessing cannot fill it. */
  private readonly verified = new Map<string, { key: ApiKey; until: number }>();

  constructor(@InjectRepository(ApiKey) private readonly keys: Repository<ApiKey>) {}

  /**
   * @throws {CredentialError}
   * @throws {Error} of the database when it cannot tell
   */
  async authenticate(token: string): Promise<Principal> {
    const id = parseApiKeyId(token);
    if (!id) throw new CredentialError('That is not an API key of this service');
    const cached = this.verified.get(id);
    const key = cached && cached.until > Date.now() ? cached.key : await this.keys.findOneBy({ id });
    if (!key || !verifyApiKey(token, key.hash)) {
      throw new CredentialError('There is no such API key');
    }
    // Whoever holds the whole key may know what became of it.
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

  /** The condition stands in the statement, too: other instances note the use of the same key. */
  private async updateLastUsed({ id, lastUsedAt }: ApiKey): Promise<void> {
    if (lastUsedAt && Date.now() - lastUsedAt.valueOf() < LAST_USED_INTERVAL_MS) return;
    try {
      await this.keys.query(
        `UPDATE api_keys SET last_used_at = now()
          WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')`,
        [id],
      );
    } catch (error) {
      this.logger.warn(`The use of API key ${id} was not noted: ${String(error)}`); // no reason to refuse it
    }
  }
}
