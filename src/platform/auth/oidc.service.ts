import { Injectable, Logger } from '@nestjs/common';
import { decodeJwt, errors, type JWTPayload, jwtVerify } from 'jose';
import { Env, OIDC_SCOPE_GRANT } from '../config/env.js';
import { IssuerJwks } from './issuer-jwks.js';
import { Problem } from '../problems/problem.js';
import { CredentialError, type Principal } from './principal.js';

/** Signatures by a private key; what a shared secret signs, everyone who can verify it could have signed. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];
/** Of ID tokens and access tokens. Issuers sign other things with the same keys, such as logout tokens. */
const TYPES = new Set(['jwt', 'at+jwt', 'application/at+jwt']);
const CLOCK_SKEW_S = 30;

/** Bearer tokens of the issuers in OIDC_ISSUERS. */
@Injectable()
export class OidcService {
  private readonly logger = new Logger(OidcService.name);
  private readonly issuers: Map<string, IssuerJwks>;
  /** The scopes of OIDC_SCOPE_GRANTS, by issuer and who is meant. */
  private readonly callers: Map<string, string[]>;

  constructor(private readonly env: Env) {
    this.issuers = new Map(env.OIDC_ISSUERS.map((issuer) => [issuer, new IssuerJwks(issuer)]));
    this.callers = new Map(
      env.OIDC_SCOPE_GRANTS.map((entry) => {
        const [, issuer = env.OIDC_ISSUERS[0], caller = '', scopes = ''] = OIDC_SCOPE_GRANT.exec(entry) ?? [];
        const kind = caller.includes('@') && !caller.startsWith('sub:') ? 'email' : 'sub';
        return [`${issuer} ${kind} ${caller.replace(/^sub:/, '')}`, scopes.split(' ')];
      }),
    );
  }

  /**
   * @throws {CredentialError}
   * @throws {Problem} issuer_unavailable
   */
  async authenticate(token: string): Promise<Principal> {
    const claims = await this.verify(token);
    const { iss, sub = '', exp } = claims;
    const expiresAt = new Date(Number(exp) * 1000);
    if (!isSubject(sub)) throw new CredentialError('The bearer token is refused: unexpected "sub" claim value');
    if (Number.isNaN(expiresAt.valueOf())) throw new CredentialError('The bearer token is refused: unexpected "exp"');
    // An address that nobody has verified may be someone else's.
    const email = claims.email_verified === true && typeof claims.email === 'string' ? claims.email : undefined;
    const granted = [`email ${email}`, `sub ${sub}`].flatMap((caller) => this.callers.get(`${iss} ${caller}`) ?? []);
    return {
      kind: 'oidc',
      id: `oidc:${iss} ${sub}`,
      name: email ?? sub,
      scopes: [...new Set([...scopesOf(claims), ...granted])],
      expiresAt,
    };
  }

  private async verify(token: string): Promise<JWTPayload> {
    try {
      const keys = this.issuers.get(decodeJwt(token).iss ?? '');
      if (!keys) throw new errors.JWTInvalid('the issuer is not one that this service trusts');
      const { payload, protectedHeader } = await jwtVerify(token, keys.getKey, {
        issuer: keys.issuer,
        audience: this.env.OIDC_AUDIENCE,
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
        throw new CredentialError(`The bearer token is refused: ${cause.message}`, { cause });
      }
      // A key of the issuer that cannot be used. Whoever sends such a token cannot mend it, and may be anyone.
      this.logger.warn(new Error('A bearer token could not be verified', { cause }));
      throw new CredentialError('The bearer token is refused: its key cannot be used', { cause });
    }
  }
}

/** It becomes part of an id that is stored and logged. https://www.rfc-editor.org/rfc/rfc7519#section-4.1.2 */
function isSubject(sub: unknown): sub is string {
  return typeof sub === 'string' && /^[^\p{Cc}\p{Cs}]{1,255}$/u.test(sub);
}

/** `scope` is RFC 8693's and RFC 9068's, a text with spaces; `scp` is Okta's, a list, and Microsoft's, a text. */
function scopesOf({ scope, scp }: JWTPayload): string[] {
  return [scope, scp].flat().flatMap((each) => (typeof each === 'string' ? each.split(' ').filter(Boolean) : []));
}
