import { setTimeout } from 'node:timers/promises';
import { type EntityManager, QueryFailedError } from 'typeorm';

const MAX_ATTEMPTS = 3;
const BACKOFF_MS = 50;

/** PostgreSQL has ended a transaction for the sake of another one. https://www.postgresql.org/docs/current/mvcc-serialization-failure-handling.html */
const RETRYABLE_SQLSTATES = new Set<unknown>(['40001', '40P01']); // serialization_failure, deadlock_detected

/**
 * Does the work in a transaction, and again when it fell victim to another one. So the work must have no effect but
 * through the manager that it is given.
 */
export async function withRetryableTransaction<T>(
  manager: EntityManager,
  work: (manager: EntityManager) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await manager.transaction(work);
    } catch (error) {
      if (attempt === MAX_ATTEMPTS || !isRetryable(error)) throw error;
      await setTimeout(BACKOFF_MS * attempt * Math.random()); // so that the two do not meet again
    }
  }
}

function isRetryable(error: unknown): boolean {
  return error instanceof QueryFailedError && RETRYABLE_SQLSTATES.has(Reflect.get(error.driverError, 'code'));
}
