export class MeDto {
  kind!: 'api_key' | 'oidc';
  /** @example 'ci' */
  name!: string;
  /** @example ["orders:read"] */
  scopes!: string[];
  /** Of the credential; null for a key that never expires */
  expiresAt!: Date | null;
}
