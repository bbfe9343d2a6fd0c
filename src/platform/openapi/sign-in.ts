import type { OpenAPIObject } from '@nestjs/swagger';
import { operationsOf } from './operations.js';

/** The operation's extension that names the scopes that it needs. */
export const REQUIRED_SCOPES = 'x-required-scopes';

/** Where the readers of the docs can get a token for themselves. */
export interface SignIn {
  issuer: string;
  /** A public client: it has no secret, and proves itself with PKCE. */
  clientId: string;
}

/** Adds the issuer to the ways in which a caller can authenticate. */
export function addSignIn(document: OpenAPIObject, { issuer }: SignIn): void {
  const openIdConnectUrl = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  Object.assign(document.components?.securitySchemes ?? {}, { oidc: { type: 'openIdConnect', openIdConnectUrl } });
  for (const { operation } of operationsOf(document)) {
    operation.security?.push({ oidc: Reflect.get(operation, REQUIRED_SCOPES) as string[] });
  }
}
