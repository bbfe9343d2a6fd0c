import assert from 'node:assert/strict';
import { createOfflineKey } from '../api-key.mjs';

export const scopes = 'none';
export const ask = '/v1/me';
export const status = 200;
export const request = () => ({ method: 'GET', path: '/v1/me' });

export async function prepare(instance, headers) {
  assert.equal((await instance.send({ ...request(), headers })).status, status);
}

/** Unknown keys are looked up in the database. */
export const hold = 'LOCK TABLE api_keys';
export const slow = () => ({ ...request(), headers: { 'x-api-key': createOfflineKey().key } });
export const slowStatus = 401;

/** The route takes no body: the request is rejected, and the connection closed while the body is sent. */
export const large = { path: '/v1/me', answers: [405, 'EPIPE', 'ECONNRESET'] };

export async function assertNothingLost() {}
