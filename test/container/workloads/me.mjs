import assert from 'node:assert/strict';
import { createOfflineKey, credentials } from '../credentials.mjs';

export const scopes = 'none';
export const ask = '/v1/me';
export const status = 200;
export const request = () => ({ method: 'GET', path: '/v1/me' });

export async function prepare(instance, headers) {
  assert.equal((await instance.send({ ...request(), headers })).status, status);
}

/** Keys that nobody has are looked for in the database. */
export const hold = 'LOCK TABLE api_keys';
export const slow = () => ({ ...request(), headers: credentials(createOfflineKey().key) });
export const slowStatus = 401;

/** No route takes a body: it is refused at once, and the connection closed while it is still sent. */
export const large = { path: '/v1/me', answers: [405, 'EPIPE', 'ECONNRESET'] };

export async function assertNothingLost() {}
