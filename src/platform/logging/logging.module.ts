import { Module } from '@nestjs/common';
import { LoggerModule } from 'nestjs-pino';
import type { Logger } from 'pino';
import { Env } from '../config/env.js';
import { createLogger } from './logger.js';

/** The logger of which those of the requests are children. */
export const ROOT_LOGGER = Symbol('root logger');

@Module({
  providers: [{ provide: ROOT_LOGGER, inject: [Env], useFactory: (env: Env) => createLogger(env) }],
  exports: [ROOT_LOGGER],
})
class RootLoggerModule {}

/** What Nest's Logger is told while a request is handled goes to the logger of the request. */
@Module({
  imports: [
    LoggerModule.forRootAsync({
      imports: [RootLoggerModule],
      inject: [ROOT_LOGGER],
      useFactory: (logger: Logger) => ({
        pinoHttp: { logger },
        useExisting: true, // the log that a request has from requestLog
      }),
    }),
  ],
})
export class LoggingModule {}
