import { AsyncLocalStorage } from 'node:async_hooks';
import type { IncomingHttpHeaders } from 'node:http';
import type { DatabaseUsage } from '../telemetry/database-usage.js';

/** The state of a request that its asynchronous calls share. */
export interface RequestContext {
  headers: IncomingHttpHeaders;
  /** The fields of each log line. */
  logFields: object;
  databaseUsage: DatabaseUsage;
  /** The time of performance.now() at which the handler must have finished. */
  deadline: number;
}

/** The context of the current request; undefined in a job and in background work. */
export const requestContext = new AsyncLocalStorage<RequestContext>();
