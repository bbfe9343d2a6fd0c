import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Request, Response } from 'express';
import { packageInfo } from '../config/package-info.js';
import { Problem } from '../problems/problem.js';
import { ApiKeysService } from './api-keys.service.js';
import { POLICY, PUBLIC } from './auth.decorators.js';
import { credentialInvalid, credentialMissing, scopeMissing } from './auth.problems.js';
import { OidcService } from './oidc.service.js';
import { CredentialError, type Principal } from './principal.js';

/** Authenticates and authorizes every request. Denies by default: a route needs Public or RequireScopes. */
@Injectable()
export class AuthGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly apiKeys: ApiKeysService,
    private readonly oidc: OidcService,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const policy = this.reflector.getAllAndOverride<typeof PUBLIC | string[] | undefined>(POLICY, [
      context.getHandler(),
      context.getClass(),
    ]);
    if (policy === PUBLIC) return true;
    const request = context.switchToHttp().getRequest<Request>();
    const principal = await this.authenticate(request);
    if (!policy?.every((scope) => principal.scopes.includes(scope))) {
      const headers = challenge(`, error="insufficient_scope", scope="${policy?.join(' ') ?? ''}"`);
      throw new Problem(scopeMissing, {
        detail: policy ? `Required scopes: ${policy.join(' ')}` : 'Route declares no access policy',
        headers,
      });
    }
    request.principal = principal;
    // Shared caches treat responses to Authorization as private, but not those to x-api-key.
    context.switchToHttp().getResponse<Response>().set('Cache-Control', 'private, no-cache');
    return true;
  }

  private async authenticate(request: Request): Promise<Principal> {
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
      return await (token.startsWith('sk_') ? this.apiKeys.authenticate(token) : this.oidc.authenticate(token));
    } catch (cause) {
      if (!(cause instanceof CredentialError)) throw cause;
      const headers = challenge(', error="invalid_token"');
      throw new Problem(credentialInvalid, { detail: cause.message, headers, cause });
    }
  }
}

/** https://www.rfc-editor.org/rfc/rfc6750#section-3 */
function challenge(reason = ''): Record<string, string> {
  return { 'WWW-Authenticate': `Bearer realm="${packageInfo.name}"${reason}` };
}
