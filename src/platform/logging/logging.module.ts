import { Module } from '@nestjs/common';
import { LoggerModule } from 'nestjs-pino';
import type { Logger } from 'pino';
import { Env } from '../config/env.js';
import { createLogger } from './logger.js';

/** The injection token of the parent of all request loggers. */
export const ROOT_LOGGER = Symbol('root logger');

@Module({
  providers: [{ provide: ROOT_LOGGER, inject: [Env], useFactory: (env: Env) => createLogger(env) }],
  exports: [ROOT_LOGGER],
})
class RootLoggerModule {}

/** Nest's Logger writes to the logger of the current request. */
@Module({
  imports: [
    LoggerModule.forRootAsync({
      imports: [RootLoggerModule],
      inject: [ROOT_LOGGER],
      useFactory: (logger: Logger) => ({
        pinoHttp: { logger },
        useExisting: true, // request.log, set by requestLog
      }),
    }),
  ],
})
export class LoggingModule {}
