import { type ExecutionContext, Injectable } from '@nestjs/common';
import { ThrottlerGuard, type ThrottlerLimitDetail, type ThrottlerRequest } from '@nestjs/throttler';
import type { Request, Response } from 'express';
import { Problem } from '../problems/problem.js';
import { tooManyRequests } from './rate-limit.problems.js';

const HEADERS = ['RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset'] as const;

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
    const reset = String(timeToBlockExpire);
    throw new Problem(tooManyRequests, {
      headers: { 'RateLimit-Limit': String(limit), 'RateLimit-Remaining': '0', 'RateLimit-Reset': reset },
    });
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

  /** Of the two budgets a client is told of the one that ends first. */
  protected override async handleRequest(request: ThrottlerRequest): Promise<boolean> {
    const response = request.context.switchToHttp().getResponse<Response>();
    const ofAddress = Object.fromEntries(HEADERS.map((name) => [name, response.get(name)]));
    const isAdmitted = await super.handleRequest(request);
    if (Number(ofAddress['RateLimit-Remaining']) < Number(response.get('RateLimit-Remaining'))) response.set(ofAddress);
    return isAdmitted;
  }

  protected override async getTracker({ principal }: Pick<Request, 'principal'>): Promise<string> {
    return String(principal?.id);
  }
}
