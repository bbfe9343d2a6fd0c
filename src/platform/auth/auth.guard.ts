import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Request, Response } from 'express';
import { Env } from '../config/env.js';
import { packageInfo } from '../config/package-info.js';
import { httpContext } from '../http/http-context.js';
import { RateLimiter } from '../limits/rate-limiter.js';
import { Problem } from '../problems/problem.js';
import { ApiKeysService } from './api-keys.service.js';
import { AUDIENCE, POLICY, PUBLIC } from './auth.decorators.js';
import { credentialInvalid, credentialMissing, scopeMissing } from './auth.problems.js';
import { OidcService } from './oidc.service.js';
import { CredentialError, type Principal } from './principal.js';

type Policy = typeof PUBLIC | string[] | undefined;

/**
 * Authenticates and authorizes every request, and limits requests per principal, from all of its addresses together.
 * Denies by default: a route needs Public or RequireScopes.
 */
@Injectable()
export class AuthGuard implements CanActivate {
  private readonly limiter: RateLimiter;

  constructor(
    private readonly reflector: Reflector,
    private readonly apiKeys: ApiKeysService,
    private readonly oidc: OidcService,
    { RATE_LIMIT_PER_MINUTE }: Env,
  ) {
    this.limiter = new RateLimiter(RATE_LIMIT_PER_MINUTE);
  }

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const { request, response } = httpContext(context, AuthGuard.name);
    const policy = this.reflector.getAllAndOverride<Policy>(POLICY, [context.getHandler(), context.getClass()]);
    if (policy === PUBLIC) return true;
    const verified = this.apiKeys.findVerified(request.headers['x-api-key']);
    if (verified) return this.admit(verified, policy, request, response);
    const audience = this.reflector.get<'MCP_RESOURCE_URL' | undefined>(AUDIENCE, context.getHandler());
    return this.authenticate(request, audience).then((principal) => this.admit(principal, policy, request, response));
  }

  private admit(principal: Principal, policy: string[] | undefined, request: Request, response: Response): true {
    requireScopes(principal, policy);
    request.principal = principal;
    // Shared caches treat responses to Authorization as private, but not those to x-api-key.
    response.setHeader('Cache-Control', 'private, no-cache');
    this.limiter.count(principal.id, response);
    return true;
  }

  private async authenticate(request: Request, audience?: 'MCP_RESOURCE_URL'): Promise<Principal> {
    // An API key has priority: behind Cloud Run's own check, Authorization has a token without its signature.
    // https://cloud.google.com/run/docs/troubleshooting#signature-removed
    const apiKey = request.get('x-api-key');
    const authorization = request.get('authorization');
    if (apiKey === undefined && authorization === undefined) {
      throw new Problem(credentialMissing, { headers: challenge() });
    }
    try {
      if (apiKey !== undefined) return await this.apiKeys.authenticate(apiKey);
      const [, token = ''] = /^Bearer +(\S+)$/i.exec(authorization ?? '') ?? [];
      return await (token.startsWith('sk_')
        ? this.apiKeys.authenticate(token)
        : this.oidc.authenticate(token, audience));
    } catch (cause) {
      if (!(cause instanceof CredentialError)) throw cause;
      const headers = challenge(', error="invalid_token"');
      throw new Problem(credentialInvalid, { detail: cause.message, headers, cause });
    }
  }
}

/**
 * Requires a principal with all of these scopes.
 * @throws {Problem} scope_missing, also if `scopes` is undefined
 */
export function requireScopes(principal: Principal, scopes: string[] | undefined): void {
  if (scopes?.every((scope) => principal.scopes.includes(scope))) return;
  throw new Problem(scopeMissing, {
    detail: scopes ? `Required scopes: ${scopes.join(' ')}` : 'Route declares no access policy',
    headers: challenge(`, error="insufficient_scope", scope="${scopes?.join(' ') ?? ''}"`),
  });
}

/** https://www.rfc-editor.org/rfc/rfc6750#section-3 */
function challenge(reason = ''): Record<string, string> {
  return { 'WWW-Authenticate': `Bearer realm="${packageInfo.name}"${reason}` };
}
