import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { Request, Response } from 'express';
import { Env } from '../config/env.js';
import { RateLimiter } from './rate-limiter.js';

/** Limits requests per principal, after authentication, from however many addresses they come. */
@Injectable()
export class PrincipalRateLimitGuard implements CanActivate {
  private readonly limiter: RateLimiter;

  constructor({ RATE_LIMIT_PER_MINUTE }: Env) {
    this.limiter = new RateLimiter(RATE_LIMIT_PER_MINUTE);
  }

  canActivate(context: ExecutionContext): boolean {
    const http = context.switchToHttp();
    const { principal } = http.getRequest<Request>();
    if (principal) this.limiter.count(principal.id, http.getResponse<Response>());
    return true;
  }
}
