import { describe, expect, it } from '@jest/globals';
import type { Repository } from 'typeorm';
import type { BackgroundWrites } from '../database/background-writes.js';
import { createApiKey } from './api-key.js';
import type { ApiKey } from './api-key.entity.js';
import { ApiKeysService } from './api-keys.service.js';

const MAX_CACHED_KEYS = 10_000;

describe('the cache of verified API keys', () => {
  it('has at most 10,000 keys, and drops the oldest', async () => {
    const created = Array.from({ length: MAX_CACHED_KEYS + 1 }, () => createApiKey());
    const rows = new Map(created.map(({ id, hash }) => [id, { hash, state: 'valid', cacheMs: 30_000 }]));
    const read: string[] = [];
    const repository = {
      query(_sql: string, [id]: [string]) {
        read.push(id);
        return Promise.resolve([rows.get(id)]);
      },
    };
    const writes = { add: () => undefined };
    const service = new ApiKeysService(
      repository as unknown as Repository<ApiKey>,
      writes as unknown as BackgroundWrites,
    );
    const [oldest, second] = created;
    for (const { key } of created) await service.authenticate(key);
    read.length = 0;
    await service.authenticate(second!.key);
    await service.authenticate(created.at(-1)!.key);
    expect(read).toEqual([]);
    await service.authenticate(oldest!.key);
    expect(read).toEqual([oldest!.id]);
  });
});
