import { Module } from '@nestjs/common';
import { ThrottlerModule } from '@nestjs/throttler';
import { Env } from '../config/env.js';

/** Counts in the memory of each instance: what all of them admit together is the limit times their number. */
@Module({
  imports: [
    ThrottlerModule.forRootAsync({
      inject: [Env],
      useFactory: ({ RATE_LIMIT_PER_MINUTE: limit }: Env) => ({
        // Without a block: the next request is admitted as soon as the oldest is a minute old.
        throttlers: [{ limit, ttl: 60_000, blockDuration: 0 }],
        skipIf: () => limit === 0,
      }),
    }),
  ],
  exports: [ThrottlerModule],
})
export class RateLimitModule {}
