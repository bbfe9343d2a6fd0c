import { applyDecorators, createParamDecorator, type ExecutionContext, SetMetadata } from '@nestjs/common';
import type { Request } from 'express';
import { ApiProblems } from '../problems/api-problems.decorator.js';
import { ApiScopes } from './api-scopes.decorator.js';
import { credentialInvalid, credentialMissing, issuerUnavailable, scopeMissing } from './auth.problems.js';
import type { Principal } from './principal.js';

/** Metadata: the access policy of a route, its required scopes or PUBLIC. A route without a policy is closed. */
export const POLICY = 'auth:policy';
export const PUBLIC = 'public';

/** Metadata: the variable of {@link TokenAudience}. */
export const AUDIENCE = 'auth:audience';

/** The scopes that the routes of this build require. */
export const declaredScopes = new Set<string>();

/** Allows access without a credential, for a route or for all routes of a controller that declare no other policy. */
export const Public = () => SetMetadata(POLICY, PUBLIC);

/** Requires a principal with all of these scopes; without scopes, any principal. */
export function RequireScopes(...scopes: string[]): MethodDecorator {
  for (const scope of scopes) declaredScopes.add(scope);
  return applyDecorators(
    setPolicy(scopes),
    ApiScopes(scopes),
    ApiProblems(credentialMissing, credentialInvalid, issuerUnavailable, ...(scopes.length > 0 ? [scopeMissing] : [])),
  );
}

/** A second policy would silently replace the first. */
const setPolicy =
  (scopes: string[]): MethodDecorator =>
  (target, key, descriptor) => {
    if (Reflect.hasMetadata(POLICY, Object(descriptor.value))) throw new Error(`${String(key)} has two policies`);
    SetMetadata(POLICY, scopes)(target, key, descriptor);
  };

/** Names the variable with the audience of a route's tokens. OIDC_AUDIENCE is the default, also if the variable is unset. */
export const TokenAudience = (variable: 'MCP_RESOURCE_URL') => SetMetadata(AUDIENCE, variable);

/** Injects the principal of the request into a handler. Not for public routes. */
export const CurrentPrincipal = createParamDecorator((_: unknown, context: ExecutionContext): Principal => {
  const { principal } = context.switchToHttp().getRequest<Request>();
  if (!principal) throw new Error('A public route has no principal');
  return principal;
});
