import { setTimeout } from 'node:timers/promises';
import { type EntityManager, QueryFailedError } from 'typeorm';

const MOST_TRIES = 3;
const PAUSE_MS = 50;

/** PostgreSQL has ended a transaction for the sake of another one. https://www.postgresql.org/docs/current/mvcc-serialization-failure-handling.html */
const CONFLICTS = new Set<unknown>(['40001', '40P01']); // serialization_failure, deadlock_detected

/**
 * Does the work in a transaction, and again when it fell victim to another one. So the work must have no effect but
 * through the manager that it is given.
 */
export async function inTransaction<T>(
  manager: EntityManager,
  work: (manager: EntityManager) => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await manager.transaction(work);
    } catch (error) {
      if (tries === MOST_TRIES || !isConflict(error)) throw error;
      await setTimeout(PAUSE_MS * tries * Math.random()); // so that the two do not meet again
    }
  }
}

function isConflict(error: unknown): boolean {
  return error instanceof QueryFailedError && CONFLICTS.has(Reflect.get(error.driverError, 'code'));
}
