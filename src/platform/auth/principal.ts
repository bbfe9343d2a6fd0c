/** Who makes a request, as its credential proves. */
export interface Principal {
  kind: 'api_key' | 'oidc';
  /** Unique among all principals, and no secret: idempotency, limits and logs go by it. */
  id: string;
  name: string;
  scopes: readonly string[];
  /** When the credential ends; null for a key that never does. */
  expiresAt: Date | null;
}

/** A credential that proves nothing; the message is for its bearer. */
export class CredentialError extends Error {}

declare global {
  // Where Express' types take additions.
  namespace Express {
    interface Request {
      /** Set by AuthGuard; undefined on a public route. */
      principal?: Principal;
    }
  }
}
