import type { INestApplicationContext, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Logger } from 'nestjs-pino';

/**
 * Runs a job: waits for the database, does `work` with the providers of the application, and ends the process. The exit code
 * is 0, or 1 after a failure, which report-crashes.ts logs.
 */
export async function runJob(module: Type, work: (app: INestApplicationContext) => Promise<void>): Promise<void> {
  const app = await NestFactory.createApplicationContext(module, {
    bufferLogs: true,
    abortOnError: false,
    autoFlushLogs: false,
  });
  app.useLogger(app.get(Logger));
  app.flushLogs();
  try {
    await work(app);
  } finally {
    await app.close();
  }
  process.exit(); // a timer of a provider would keep the process running
}
