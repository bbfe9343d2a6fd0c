import assert from 'node:assert/strict';
import { createOfflineKey, credentials } from '../credentials.mjs';

export const scopes = 'none';
export const ask = '/v1/me';
export const status = 200;
export const request = () => ({ method: 'GET', path: '/v1/me' });

export async function prepare(instance, headers) {
  assert.equal((await instance.send({ ...request(), headers })).status, status);
}

/** Unknown keys are read from the database, because they are not cached. */
export const hold = 'LOCK TABLE api_keys';
export const slow = () => ({ ...request(), headers: credentials(createOfflineKey().key) });
export const slowStatus = 401;

/** No route accepts a body. The response is immediate, and the connection is closed during the upload. */
export const large = { path: '/v1/me', answers: [405, 'EPIPE', 'ECONNRESET'] };

export async function assertNothingLost() {}
