import { channel } from 'node:diagnostics_channel';
import { requestContext } from '../http/request-context.js';

/** The database usage of a request. Times are milliseconds; those of parallel statements are added. */
export class DatabaseUsage {
  dbMs = 0;
  /** Includes the statements that begin and end a transaction. */
  dbQueries = 0;
  poolWaitMs = 0;
}

/** A finished SQL statement, or the end of a wait for a connection, which has no `sql`. */
export interface DatabaseOperation {
  sql?: string;
  /** The value of performance.now(). */
  startedAt: number;
  /** The wait for the connection; for a statement that is not the first on it, 0. */
  poolWaitMs: number;
  error?: unknown;
}

/** Publishes each {@link DatabaseOperation} in the asynchronous context of its caller. */
export const databaseOperations = channel('platform.database.operation');

/** Records a finished SQL statement. */
export function recordStatement(operation: DatabaseOperation): void {
  const usage = requestContext.getStore()?.databaseUsage;
  if (usage) {
    usage.dbMs += performance.now() - operation.startedAt;
    usage.dbQueries++;
  }
  if (databaseOperations.hasSubscribers) databaseOperations.publish(operation);
}

/** Records the end of a wait for a connection. */
export function recordPoolWait(operation: DatabaseOperation): void {
  const usage = requestContext.getStore()?.databaseUsage;
  if (usage) usage.poolWaitMs += operation.poolWaitMs;
  if (databaseOperations.hasSubscribers) databaseOperations.publish(operation);
}
