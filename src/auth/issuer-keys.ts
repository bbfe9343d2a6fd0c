import { Logger } from '@nestjs/common';
import { createRemoteJWKSet, errors, type JWTVerifyGetKey } from 'jose';
import { Problem } from '../errors/problem.js';
import { issuerUnavailable } from './auth.problems.js';

/** After this time keys are asked for again, so that one that the issuer has withdrawn is forgotten. */
const FRESH_MS = 10 * 60_000;
/** Whoever makes up key ids would otherwise make us ask the issuer as often as they like. */
const ASK_EVERY_MS = 30_000;
/** While no key is known nothing can be verified, and a short outage should stay short. */
const ASK_AT_FIRST_EVERY_MS = 1_000;
const TIMEOUT_MS = 3_000;

/**
 * The public keys of an issuer, found by discovery and kept: while the issuer is away, those that are known go on
 * verifying. See https://openid.net/specs/openid-connect-discovery-1_0.html
 */
export class IssuerKeys {
  private readonly logger = new Logger(IssuerKeys.name);
  private keys?: ReturnType<typeof createRemoteJWKSet>;
  private loading?: Promise<void>;
  private loadedAt = -Infinity;
  private askedAt = -Infinity;

  constructor(readonly issuer: string) {}

  /** The key that a token's header names. @throws {Problem} issuer_unavailable when that cannot be told now */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    if (Date.now() - this.loadedAt > FRESH_MS) await this.load();
    try {
      return await this.known(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await this.load();
      if (this.loadedAt < this.askedAt) throw this.unavailable(); // perhaps the issuer has a new key
      return this.known(header, token);
    }
  };

  private get known(): JWTVerifyGetKey {
    if (!this.keys) throw this.unavailable();
    return this.keys;
  }

  private unavailable(): Problem {
    return new Problem(issuerUnavailable, { headers: { 'Retry-After': '5' } });
  }

  private async load(): Promise<void> {
    const pause = this.keys ? ASK_EVERY_MS : ASK_AT_FIRST_EVERY_MS;
    if (!this.loading && Date.now() - this.askedAt > pause) {
      this.askedAt = Date.now();
      this.loading = this.ask()
        .catch((cause: unknown) => this.logger.warn(new Error(`${this.issuer} gives no keys`, { cause })))
        .finally(() => (this.loading = undefined));
    }
    await this.loading;
  }

  private async ask(): Promise<void> {
    const url = `${this.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
    const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) });
    const { issuer, jwks_uri: location } = (await response.json()) as { issuer?: string; jwks_uri?: string };
    if (issuer !== this.issuer) throw new Error(`The document at ${url} is of another issuer`);
    const jwksUrl = new URL(String(location));
    if (this.issuer.startsWith('https:') && jwksUrl.protocol !== 'https:') throw new Error('jwks_uri is not https');
    // When to ask is decided here: a failure counts, too.
    const keys = createRemoteJWKSet(jwksUrl, {
      cacheMaxAge: Infinity,
      cooldownDuration: Infinity,
      timeoutDuration: TIMEOUT_MS,
    });
    await keys.reload();
    this.keys = keys;
    this.loadedAt = Date.now();
  }
}
