import { spawnSync } from 'node:child_process';
import { buildIfStale } from '../../tools/build/build.mjs';
import { buildNest } from '../bench/baselines/build.mjs';

/** This service in its production configuration. */
export function ourService() {
  buildIfStale();
  const made = spawnSync(process.execPath, ['dist/api-keys.js', 'create', '--offline', '--json'], { encoding: 'utf8' });
  const { key, id, hash } = JSON.parse(made.stdout);
  return {
    name: 'ours',
    program: 'dist/main.js',
    env: { HOST: '127.0.0.1', RATE_LIMIT_PER_MINUTE: '0' },
    /** The credential of each request. */
    headers: { 'x-api-key': key },
    key: { id, hash, name: 'faults', scopes: ['vouchers:read', 'vouchers:write', 'vouchers:redeem'] },
    hasLiveness: true,
    /** Returns whether a log line belongs to a response of the traffic. */
    tellsOfAnswer: ({ path, status }) => status !== undefined && path.startsWith('/v1/'),
    notes: {},
  };
}

/** The stock Nest application: the same routes and SQL, without credentials. */
export function stockNest() {
  return {
    name: 'stock Nest',
    program: buildNest('stock'),
    env: { HOST: '127.0.0.1' },
    headers: {},
    hasLiveness: false,
    tellsOfAnswer: ({ req, res }) => res !== undefined && req.url.startsWith('/v1/'),
    /** Explanations of exceeded limits. */
    notes: {
      'failed liveness probes': 'The stock application has no liveness probe.',
      'duplicate writes': 'The stock application has no Idempotency-Key, so a retry can write twice.',
      'distinct responses to one Idempotency-Key': 'The stock application has no Idempotency-Key.',
      'failures other than 503 with Retry-After': 'The stock application returns 500 or no response.',
    },
  };
}
