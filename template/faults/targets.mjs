import { spawnSync } from 'node:child_process';
import { buildIfStale } from '../../tools/build/build.mjs';
import { buildStock } from '../bench/baselines/build.mjs';

/** The service of this repository, as production runs it. */
export function ourService() {
  buildIfStale();
  const made = spawnSync(process.execPath, ['dist/api-keys.js', 'create', '--offline', '--json'], { encoding: 'utf8' });
  const { key, id, hash } = JSON.parse(made.stdout);
  return {
    name: 'ours',
    program: 'dist/main.js',
    env: { HOST: '127.0.0.1', RATE_LIMIT_PER_MINUTE: '0' },
    /** What lets a request in. */
    headers: { 'x-api-key': key },
    key: { id, hash, name: 'faults', scopes: ['vouchers:read', 'vouchers:write', 'vouchers:redeem'] },
    hasLiveness: true,
    /** Whether a line of its log tells of an answer to the traffic. */
    tellsOfAnswer: ({ path, status }) => status !== undefined && path.startsWith('/v1/'),
    notes: {},
  };
}

/** What `nest new` and the manuals give: the same routes and SQL, without credentials. */
export function stockNest() {
  return {
    name: 'stock Nest',
    program: buildStock(),
    env: { HOST: '127.0.0.1' },
    headers: {},
    hasLiveness: false,
    tellsOfAnswer: ({ req, res }) => res !== undefined && req.url.startsWith('/v1/'),
    /** What a figure has to be read with. */
    notes: {
      'liveness probes that failed': 'It has no liveness probe.',
      'writes done twice': 'It has no Idempotency-Key: who has no answer and sends again cannot do it otherwise.',
      'different answers to one Idempotency-Key': 'It has no Idempotency-Key.',
      'failures that are no 503 problem with Retry-After': 'It answers 500, or not at all.',
    },
  };
}
