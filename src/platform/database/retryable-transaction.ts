import { setTimeout } from 'node:timers/promises';
import { type EntityManager, QueryFailedError } from 'typeorm';

const MAX_ATTEMPTS = 3;
const BACKOFF_MS = 50;

/** Conflicts with another transaction: https://www.postgresql.org/docs/current/mvcc-serialization-failure-handling.html */
const RETRYABLE_SQLSTATES = new Set<unknown>(['40001', '40P01']); // serialization_failure, deadlock_detected

/**
 * Runs `work` in a transaction, and again (up to 3 times in all) after a deadlock or a serialization failure. `work` must
 * have effects only through its manager.
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
      await setTimeout(BACKOFF_MS * attempt * Math.random()); // so that the two transactions do not collide again
    }
  }
}

function isRetryable(error: unknown): boolean {
  return error instanceof QueryFailedError && RETRYABLE_SQLSTATES.has(Reflect.get(error.driverError, 'code'));
}
