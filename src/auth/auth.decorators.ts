import { applyDecorators, createParamDecorator, type ExecutionContext, SetMetadata } from '@nestjs/common';
import { ApiExtension, ApiSecurity } from '@nestjs/swagger';
import type { Request } from 'express';
import { ApiProblems } from '../openapi/api-problems.decorator.js';
import { REQUIRED_SCOPES } from '../openapi/sign-in.js';
import { credentialInvalid, credentialMissing, issuerUnavailable, scopeMissing } from './auth.problems.js';
import type { Principal } from './principal.js';

/** Metadata: who may use a route. The scopes that it needs, or PUBLIC; without either nobody may. */
export const POLICY = 'auth:policy';
export const PUBLIC = 'public';

/** Every scope that a route of this build asks for. */
export const declaredScopes = new Set<string>();

/** Opens a route, or all of a controller, to everyone. */
export const Public = () => SetMetadata(POLICY, PUBLIC);

/**
 * Opens a route, or all of a controller, to principals that have all of these scopes; without any, to every principal.
 * What a route says replaces what its controller says.
 */
export function RequireScopes(...scopes: string[]) {
  for (const scope of scopes) declaredScopes.add(scope);
  return applyDecorators(
    SetMetadata(POLICY, scopes),
    ApiSecurity('apiKey'),
    ApiSecurity('bearer'),
    ApiExtension(REQUIRED_SCOPES, scopes),
    ApiProblems(credentialMissing, credentialInvalid, issuerUnavailable, ...(scopes.length > 0 ? [scopeMissing] : [])),
  );
}

/** The principal of the request, as a handler's parameter. Only for routes that are not public. */
export const CurrentPrincipal = createParamDecorator((_: unknown, context: ExecutionContext): Principal => {
  const { principal } = context.switchToHttp().getRequest<Request>();
  if (!principal) throw new Error('A public route has no principal');
  return principal;
});
