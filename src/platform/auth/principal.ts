/** The authenticated caller of a request. */
export interface Principal {
  kind: 'api_key' | 'oidc';
  /** Unique among all principals. Identifies the principal in idempotency records, rate limits and logs. Not a secret. */
  id: string;
  name: string;
  scopes: readonly string[];
  /** The expiry of the credential; null for a key that does not expire. */
  expiresAt: Date | null;
}

/** An invalid credential. The message is returned to the client. */
export class CredentialError extends Error {}

declare global {
  // Declaration merging with Express' Request
  namespace Express {
    interface Request {
      /** Set by AuthGuard; undefined on a public route. */
      principal?: Principal;
    }
  }
}
