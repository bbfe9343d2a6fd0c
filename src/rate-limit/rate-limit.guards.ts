import { type ExecutionContext, Injectable } from '@nestjs/common';
import { ThrottlerGuard, type ThrottlerLimitDetail } from '@nestjs/throttler';
import type { Request } from 'express';
import { Problem } from '../errors/problem.js';
import { tooManyRequests } from './rate-limit.problems.js';

/** One budget for all routes together, answered in this service's way. */
abstract class RateLimitGuard extends ThrottlerGuard {
  protected override headerPrefix = 'RateLimit';

  protected override generateKey(_context: ExecutionContext, tracker: string): string {
    return `${this.constructor.name} ${tracker}`;
  }

  protected override throwThrottlingException(
    _context: ExecutionContext,
    { limit, timeToBlockExpire }: ThrottlerLimitDetail,
  ): Promise<void> {
    const seconds = String(timeToBlockExpire);
    const headers = {
      'Retry-After': seconds,
      'RateLimit-Limit': String(limit),
      'RateLimit-Remaining': '0',
      'RateLimit-Reset': seconds,
    };
    throw new Problem(tooManyRequests, { headers });
  }
}

/** By client address, before authentication: whoever guesses credentials is slowed down, too. */
@Injectable()
export class AddressRateLimitGuard extends RateLimitGuard {}

/** By principal, after authentication: many addresses do not make many budgets. */
@Injectable()
export class PrincipalRateLimitGuard extends RateLimitGuard {
  protected override async shouldSkip(context: ExecutionContext): Promise<boolean> {
    return !context.switchToHttp().getRequest<Request>().principal;
  }

  protected override async getTracker({ principal }: Pick<Request, 'principal'>): Promise<string> {
    return String(principal?.id);
  }
}
