export class MeDto {
  kind!: 'api_key' | 'oidc';
  /** @example 'ci' */
  name!: string;
  /** @example ["orders:read"] */
  scopes!: string[];
  /** The expiry of the credential; null for a key that does not expire */
  expiresAt!: Date | null;
}
