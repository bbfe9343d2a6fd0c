import { Module, type OnApplicationShutdown } from '@nestjs/common';
import { LoggerModule } from 'nestjs-pino';
import type { Logger } from 'pino';
import { Env } from '../config/env.js';
import { createLogger } from './logger.js';
import { flushStandardOutput } from './standard-output.js';

/** The injection token of the service's logger. */
export const ROOT_LOGGER = Symbol('root logger');

@Module({
  providers: [{ provide: ROOT_LOGGER, inject: [Env], useFactory: (env: Env) => createLogger(env) }],
  exports: [ROOT_LOGGER],
})
class RootLoggerModule {}

/** Nest's Logger writes to the same logger, which adds the fields of the current request. */
@Module({
  imports: [
    LoggerModule.forRootAsync({
      imports: [RootLoggerModule],
      inject: [ROOT_LOGGER],
      useFactory: (logger: Logger) => ({
        pinoHttp: { logger },
        forRoutes: [], // no logger per request
      }),
    }),
  ],
})
export class LoggingModule implements OnApplicationShutdown {
  /** Before Nest ends the process. */
  onApplicationShutdown(): Promise<void> {
    return flushStandardOutput();
  }
}
