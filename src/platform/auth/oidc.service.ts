import { Injectable, Logger } from '@nestjs/common';
import { decodeJwt, errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose';
import { Env, OIDC_SCOPE_GRANT } from '../config/env.js';
import { DatabaseClock } from '../database/database-clock.js';
import { IssuerJwks } from './issuer-jwks.js';
import { Problem } from '../problems/problem.js';
import { CredentialError, type Principal } from './principal.js';

/** Asymmetric algorithms only: with a shared secret, everyone who can verify a token can also forge one. */
const ALGORITHMS = 'RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519'.split(' ');
/** The `typ` of ID tokens and access tokens. Issuers sign other tokens, such as logout tokens, with the same keys. */
const TYPES = new Set(['jwt', 'at+jwt', 'application/at+jwt']);
const CLOCK_SKEW_S = 30;
/** The end of the year 9999. Later dates are no RFC 3339 dates. */
const MAX_EXP = 253_402_300_799;

/** Verifies the bearer tokens of the issuers in OIDC_ISSUERS. */
@Injectable()
export class OidcService {
  private readonly logger = new Logger(OidcService.name);
  private readonly issuers: Map<string, IssuerJwks>;
  /** The scopes of OIDC_SCOPE_GRANTS by issuer and caller. */
  private readonly grants: Map<string, string[]>;

  constructor(
    private readonly env: Env,
    private readonly clock: DatabaseClock,
  ) {
    this.issuers = new Map(env.OIDC_ISSUERS.map((issuer) => [issuer, new IssuerJwks(issuer)]));
    this.grants = new Map(
      env.OIDC_SCOPE_GRANTS.map((entry) => {
        const [, issuer = env.OIDC_ISSUERS[0], caller = '', scopes = ''] = OIDC_SCOPE_GRANT.exec(entry) ?? [];
        const kind = caller.includes('@') && !caller.startsWith('sub:') ? 'email' : 'sub';
        return [`${issuer} ${kind} ${caller.replace(/^sub:/, '')}`, scopes.split(' ')];
      }),
    );
  }

  /**
   * @param audience the variable with the required audience; OIDC_AUDIENCE if it is unset
   * @throws {CredentialError}
   * @throws {Problem} issuer_unavailable
   */
  async authenticate(
    token: string,
    audience: 'OIDC_AUDIENCE' | 'MCP_RESOURCE_URL' = 'OIDC_AUDIENCE',
  ): Promise<Principal> {
    const claims = await this.verify(token, this.issuerOf(token), {
      audience: this.env[audience] ?? this.env.OIDC_AUDIENCE,
      currentDate: await this.clock.now(),
    });
    const { iss, sub = '', exp = Infinity } = claims;
    if (!isSubject(sub)) throw new CredentialError('The bearer token is invalid: unexpected "sub" claim value');
    if (exp > MAX_EXP) throw new CredentialError('The bearer token is invalid: unexpected "exp"');
    // An unverified address may belong to another person.
    const email = claims.email_verified === true && typeof claims.email === 'string' ? claims.email : undefined;
    const granted = [`email ${email}`, `sub ${sub}`].flatMap((caller) => this.grants.get(`${iss} ${caller}`) ?? []);
    return {
      kind: 'oidc',
      id: `oidc:${iss} ${sub}`,
      name: email ?? sub,
      scopes: [...new Set([...scopesOf(claims), ...granted])],
      expiresAt: new Date(exp * 1000),
    };
  }

  private issuerOf(token: string): IssuerJwks {
    try {
      const issuer = this.issuers.get(decodeJwt(token).iss ?? '');
      if (issuer) return issuer;
    } catch {
      throw new CredentialError('The bearer token is invalid: not a JWT');
    }
    throw new CredentialError('The bearer token is invalid: the issuer is not trusted');
  }

  private async verify(token: string, keys: IssuerJwks, options: JWTVerifyOptions): Promise<JWTPayload> {
    try {
      const { payload, protectedHeader } = await verifyWithAnyKey(token, keys, {
        ...options,
        issuer: keys.issuer,
        algorithms: ALGORITHMS,
        requiredClaims: ['exp', 'sub'],
        clockTolerance: CLOCK_SKEW_S,
      });
      const { typ = 'jwt' } = protectedHeader;
      if (typeof typ !== 'string' || !TYPES.has(typ.toLowerCase())) throw new errors.JWTInvalid('unexpected "typ"');
      return payload;
    } catch (cause) {
      if (cause instanceof Problem) throw cause;
      if (cause instanceof errors.JOSEError) {
        throw new CredentialError(`The bearer token is invalid: ${cause.message}`, { cause });
      }
      // The issuer's key is unusable. The client cannot fix that, and may be anyone: no 500.
      this.logger.warn(new Error('Failed to verify a bearer token', { cause }));
      throw new CredentialError('The bearer token is invalid: its key is unusable', { cause });
    }
  }
}

/** Verifies a token with each matching key: a token may have no `kid`, and two keys may have the same one. */
async function verifyWithAnyKey(token: string, { getKey }: IssuerJwks, options: JWTVerifyOptions) {
  try {
    return await jwtVerify(token, getKey, options);
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    for await (const key of error) {
      const result = await jwtVerify(token, key, options).catch(undefinedForOtherKey);
      if (result) return result;
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

/** Another key of the issuer may be the right one, and some keys may be unusable. */
function undefinedForOtherKey(error: unknown): undefined {
  if (error instanceof errors.JOSEError && !(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
}

/** The subject becomes part of an id that is stored and logged. https://www.rfc-editor.org/rfc/rfc7519#section-4.1.2 */
function isSubject(sub: unknown): sub is string {
  return typeof sub === 'string' && /^[^\p{Cc}\p{Cs}]{1,255}$/u.test(sub);
}

/** `scope` is space-separated text (RFC 8693, RFC 9068); `scp` is a list (Okta) or text (Microsoft). */
function scopesOf({ scope, scp }: JWTPayload): string[] {
  return [scope, scp].flat().flatMap((each) => (typeof each === 'string' ? each.split(' ').filter(Boolean) : []));
}
