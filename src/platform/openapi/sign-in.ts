import type { OpenAPIObject } from '@nestjs/swagger';
import { REQUIRED_SCOPES } from '../auth/api-scopes.decorator.js';
import { operationsOf } from './operations.js';

/** The OIDC client with which readers of Swagger UI sign in. */
export interface SignIn {
  issuer: string;
  /** A public client, which uses PKCE instead of a secret. */
  clientId: string;
}

/** Adds the issuer to the security schemes. */
export function addSignIn(document: OpenAPIObject, { issuer }: SignIn): void {
  const openIdConnectUrl = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  Object.assign(document.components?.securitySchemes ?? {}, { oidc: { type: 'openIdConnect', openIdConnectUrl } });
  for (const { operation } of operationsOf(document)) {
    operation.security?.push({ oidc: Reflect.get(operation, REQUIRED_SCOPES) as string[] });
  }
}
