import { setTimeout } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { Problem } from '../problems/problem.js';
import { issuerUnavailable } from './auth.problems.js';

/** The key set is fetched again after this time, so that a withdrawn key is removed. */
const REFRESH_INTERVAL_MS = 10 * 60_000;
/** The longest wait for a refresh while a key set is known. */
const STALE_WAIT_MS = 500;
/** Limits fetches for unknown key ids, which a client can invent. Failed fetches count too. */
const FETCH_COOLDOWN_MS = 30_000;
/** The same without a key set: no token can be verified, so retries are more frequent. */
const INITIAL_FETCH_COOLDOWN_MS = 1_000;
const FETCH_TIMEOUT_MS = 3_000;
/** Issuers have up to 20 keys. */
const MAX_KEYS = 100;

/**
 * The public keys of an issuer, found by OpenID Connect Discovery and cached. During an outage of the issuer the cached keys
 * stay valid. jose's createRemoteJWKSet() would drop them, and its cooldown ignores failed fetches.
 * See https://openid.net/specs/openid-connect-discovery-1_0.html
 */
export class IssuerJwks {
  private readonly logger = new Logger(IssuerJwks.name);
  private keySet?: JWTVerifyGetKey;
  private loading?: Promise<void>;
  private loadedAt = -Infinity;
  private attemptedAt = -Infinity;
  private failure?: unknown;

  constructor(readonly issuer: string) {}

  /** Returns the key that a token's header names. @throws {Problem} issuer_unavailable when the key may exist */
  readonly getKey: JWTVerifyGetKey = async (header, token) => {
    if (!this.keySet) await this.load();
    else if (performance.now() - this.loadedAt > REFRESH_INTERVAL_MS) {
      await Promise.race([this.load(), setTimeout(STALE_WAIT_MS, undefined, { ref: false })]);
    }
    try {
      if (this.keySet) return await this.keySet(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await this.load();
      if (!this.failure) return this.keySet!(header, token);
    }
    // No key set, or one without a possibly new key.
    throw new Problem(issuerUnavailable, { headers: { 'Retry-After': '5' }, cause: this.failure });
  };

  private async load(): Promise<void> {
    const pause = this.keySet ? FETCH_COOLDOWN_MS : INITIAL_FETCH_COOLDOWN_MS;
    if (!this.loading && performance.now() - this.attemptedAt > pause) {
      this.attemptedAt = performance.now();
      this.loading = this.fetchKeySet().finally(() => (this.loading = undefined));
    }
    await this.loading;
  }

  private async fetchKeySet(): Promise<void> {
    const signal = AbortSignal.timeout(FETCH_TIMEOUT_MS);
    const url = `${this.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
    try {
      const { issuer, jwks_uri: location } = await fetchJson<{ issuer?: string; jwks_uri?: string }>(url, signal);
      if (issuer !== this.issuer) throw new Error(`${url} belongs to another issuer`);
      if (this.issuer.startsWith('https:') && !location?.startsWith('https:')) throw new Error('jwks_uri is not https');
      const keySet = await fetchJson<JSONWebKeySet>(String(location), signal);
      if (keySet.keys.length === 0) throw new Error('The key set is empty');
      if (keySet.keys.length > MAX_KEYS) throw new Error(`The key set has more than ${MAX_KEYS} keys`);
      this.keySet = createLocalJWKSet(keySet);
      this.loadedAt = performance.now();
      this.failure = undefined;
    } catch (cause) {
      this.failure = cause;
      this.logger.warn(new Error(`Failed to fetch the keys of ${this.issuer}`, { cause }));
    }
  }
}

async function fetchJson<T>(url: string, signal: AbortSignal): Promise<T> {
  const response = await fetch(url, { redirect: 'error', signal });
  if (!response.ok) throw new Error(`${url} returned ${response.status}`);
  return (await response.json()) as T;
}
