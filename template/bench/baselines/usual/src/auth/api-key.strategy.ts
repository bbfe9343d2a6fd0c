import { createHash, timingSafeEqual } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { HeaderAPIKeyStrategy } from 'passport-headerapikey';
import { DataSource } from 'typeorm';

const CACHE_TTL_MS = 30_000;

interface ApiKey {
  id: string;
  hash: string;
  scopes: string[];
}

/** Verifies the hash of the key, like ../../../api-key.mjs, without scopes. */
@Injectable()
export class ApiKeyStrategy extends PassportStrategy(HeaderAPIKeyStrategy) {
  private readonly cache = new Map<string, { apiKey: ApiKey; until: number }>();

  constructor(private readonly dataSource: DataSource) {
    super({ header: 'x-api-key', prefix: '' }, false);
  }

  async validate(key: string) {
    const [, id] = /^sk_([0-9a-f]{16})_[0-9a-f]{72}$/.exec(key) ?? [];
    const apiKey = id && (await this.find(id));
    if (!apiKey) return null;
    const hash = createHash('sha256').update(key).digest('hex');
    return timingSafeEqual(Buffer.from(hash), Buffer.from(apiKey.hash)) ? apiKey : null;
  }

  private async find(id: string) {
    const cached = this.cache.get(id);
    if (cached && cached.until > Date.now()) return cached.apiKey;
    const [apiKey] = await this.dataSource.query<ApiKey[]>(
      `SELECT id, hash, scopes FROM api_keys
        WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())`,
      [id],
    );
    if (apiKey) this.cache.set(id, { apiKey, until: Date.now() + CACHE_TTL_MS });
    return apiKey;
  }
}
