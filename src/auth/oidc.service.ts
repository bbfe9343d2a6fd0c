import { Injectable } from '@nestjs/common';
import { decodeJwt, errors, type JWTPayload, jwtVerify } from 'jose';
import { Env, OIDC_CALLER } from '../config/env.js';
import { IssuerKeys } from './issuer-keys.js';
import { CredentialError, type Principal } from './principal.js';

/** Signatures by a private key; what a shared secret signs, everyone who can verify it could have signed. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];
/** Of ID tokens and access tokens. Issuers sign other things with the same keys, such as logout tokens. */
const TYPES = new Set([undefined, 'jwt', 'at+jwt', 'application/at+jwt']);
const CLOCK_SKEW_S = 30;

/** Bearer tokens of the issuers in OIDC_ISSUERS. */
@Injectable()
export class OidcService {
  private readonly issuers: Map<string, IssuerKeys>;
  /** The scopes of OIDC_CALLERS, by issuer and e-mail address or subject. */
  private readonly callers: Map<string, string[]>;

  constructor(private readonly env: Env) {
    this.issuers = new Map(env.OIDC_ISSUERS.map((issuer) => [issuer, new IssuerKeys(issuer)]));
    this.callers = new Map(
      env.OIDC_CALLERS.map((entry) => {
        const [, issuer = env.OIDC_ISSUERS[0], caller, scopes = ''] = OIDC_CALLER.exec(entry) ?? [];
        return [`${issuer} ${caller}`, scopes.split(' ')];
      }),
    );
  }

  /**
   * @throws {CredentialError}
   * @throws {Problem} issuer_unavailable
   */
  async authenticate(token: string): Promise<Principal> {
    const claims = await this.verify(token);
    const { iss, sub, exp } = claims;
    const email = claims.email_verified === true && typeof claims.email === 'string' ? claims.email : undefined;
    const granted = [email, sub].flatMap((caller) => this.callers.get(`${iss} ${caller}`) ?? []);
    return {
      kind: 'oidc',
      id: `oidc:${iss} ${sub}`,
      name: email ?? String(sub),
      scopes: [...new Set([...scopesOf(claims), ...granted])],
      expiresAt: new Date(Number(exp) * 1000),
    };
  }

  private async verify(token: string): Promise<JWTPayload> {
    try {
      const keys = this.issuers.get(decodeJwt(token).iss ?? '');
      if (!keys) throw new errors.JWTInvalid('the issuer is not one that this service trusts');
      const { payload, protectedHeader } = await jwtVerify(token, keys.find, {
        issuer: keys.issuer,
        audience: this.env.OIDC_AUDIENCE,
        algorithms: ALGORITHMS,
        requiredClaims: ['exp', 'sub'],
        clockTolerance: CLOCK_SKEW_S,
      });
      if (!TYPES.has(protectedHeader.typ?.toLowerCase())) throw new errors.JWTInvalid('unexpected "typ"');
      return payload;
    } catch (cause) {
      if (!(cause instanceof errors.JOSEError)) throw cause;
      throw new CredentialError(`The bearer token is refused: ${cause.message}`, { cause });
    }
  }
}

/** `scope` is RFC 8693's and RFC 9068's, a text with spaces; `scp` is Okta's, a list, and Microsoft's, a text. */
function scopesOf({ scope, scp }: JWTPayload): string[] {
  return [scope, scp].flat().flatMap((each) => (typeof each === 'string' ? each.split(' ').filter(Boolean) : []));
}
