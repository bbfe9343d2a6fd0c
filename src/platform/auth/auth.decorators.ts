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

/** Opens a route, or all routes of a controller that say nothing else, to everyone. */
export const Public = () => SetMetadata(POLICY, PUBLIC);

/** Opens a route to principals that have all of these scopes; without any, to every principal. */
export function RequireScopes(...scopes: string[]): MethodDecorator {
  for (const scope of scopes) declaredScopes.add(scope);
  return applyDecorators(
    setPolicy(scopes),
    ApiSecurity('apiKey'),
    ApiSecurity('bearer'),
    ApiExtension(REQUIRED_SCOPES, scopes),
    ApiProblems(credentialMissing, credentialInvalid, issuerUnavailable, ...(scopes.length > 0 ? [scopeMissing] : [])),
  );
}

/** A second one would replace the first, and what that asked for be forgotten. */
const setPolicy =
  (scopes: string[]): MethodDecorator =>
  (target, key, descriptor) => {
    if (Reflect.hasMetadata(POLICY, Object(descriptor.value))) throw new Error(`${String(key)} has two policies`);
    SetMetadata(POLICY, scopes)(target, key, descriptor);
  };

/** The principal of the request, as a handler's parameter. Only for routes that are not public. */
export const CurrentPrincipal = createParamDecorator((_: unknown, context: ExecutionContext): Principal => {
  const { principal } = context.switchToHttp().getRequest<Request>();
  if (!principal) throw new Error('A public route has no principal');
  return principal;
});
