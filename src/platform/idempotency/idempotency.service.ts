import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager, Raw } from 'typeorm';
import { BackgroundWrites } from '../database/background-writes.js';
import { withRetryableTransaction } from '../database/retryable-transaction.js';
import { Problem } from '../problems/problem.js';
import type { ProblemDto } from '../problems/problem.dto.js';
import { toProblem } from '../problems/to-problem.js';
import { IdempotencyKey } from './idempotency-key.entity.js';
import { idempotencyKeyInUse, idempotencyKeyReused } from './idempotency.problems.js';
import type { IdempotentRequest } from './idempotent-request.decorator.js';

const RETENTION_HOURS = 24;

/** The outcome of the work: its result, or a conflict (409). */
type Outcome<T> = { result: T } | { problem: ProblemDto };

@Injectable()
export class IdempotencyService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly writes: BackgroundWrites,
  ) {}

  /**
   * Runs the work of a request with an Idempotency-Key once; a repeated request within 24 hours gets the first response,
   * with `Idempotency-Replayed: true`. Key, effect and response are one transaction. A conflict (409) is stored like a
   * result. Any other failure stores nothing, so a repeated request runs the work again.
   *
   * @param request undefined for a request without the header: the work is only a transaction
   * @param work must access the database through its manager only; runs again after a deadlock or a serialization failure
   * @throws {Problem} idempotency_key_in_use, idempotency_key_reused
   */
  async run<T>(request: IdempotentRequest, work: (manager: EntityManager) => Promise<T>): Promise<T> {
    if (!request) return withRetryableTransaction(this.dataSource.manager, work);
    const { outcome, isReplay } = await withRetryableTransaction(this.dataSource.manager, (manager) =>
      this.runOnce(manager, request, work),
    );
    if (isReplay) request.response.set('Idempotency-Replayed', 'true');
    else this.writes.add('remove expired idempotency keys', removeExpired);
    if ('problem' in outcome) throw new Problem(outcome.problem, outcome.problem);
    return outcome.result;
  }

  private async runOnce<T>(
    manager: EntityManager,
    request: NonNullable<IdempotentRequest>,
    work: (manager: EntityManager) => Promise<T>,
  ): Promise<{ outcome: Outcome<T>; isReplay: boolean }> {
    const { principal, key, fingerprint } = request;
    // Do not wait for the lock: twenty equal requests would hold twenty connections.
    const [{ locked }] = await manager.query<[{ locked: boolean }]>(
      'SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS locked',
      [`${principal} ${key}`],
    );
    if (!locked) throw new Problem(idempotencyKeyInUse, { headers: { 'Retry-After': '1' } });

    const before = await manager.findOneBy(IdempotencyKey, {
      principal,
      key,
      createdAt: Raw((createdAt) => `${createdAt} > now() - interval '${RETENTION_HOURS} hours'`),
    });
    if (before && before.fingerprint !== fingerprint) throw new Problem(idempotencyKeyReused);
    if (before) return { outcome: JSON.parse(before.answer), isReplay: true };

    const outcome = await runWork(manager, work);
    // Replaces an expired response to the same key.
    await manager
      .createQueryBuilder()
      .insert()
      .into(IdempotencyKey)
      .values({ principal, key, fingerprint, answer: JSON.stringify(outcome) })
      .orUpdate(['fingerprint', 'answer', 'created_at'], ['principal', 'key'])
      .updateEntity(false)
      .execute();
    return { outcome, isReplay: false };
  }
}

/** Runs the work in a savepoint, so that a conflict rolls back its writes. */
async function runWork<T>(manager: EntityManager, work: (manager: EntityManager) => Promise<T>): Promise<Outcome<T>> {
  try {
    return { result: await manager.transaction(work) };
  } catch (error) {
    const { details } = toProblem(error);
    if (details.status !== 409) throw error;
    return { problem: details };
  }
}

/** Skips rows that another instance is deleting. */
async function removeExpired(manager: EntityManager): Promise<void> {
  await manager.query(
    `DELETE FROM idempotency_keys WHERE (principal, key) IN (
       SELECT principal, key FROM idempotency_keys WHERE created_at <= now() - interval '${RETENTION_HOURS} hours'
       ORDER BY created_at LIMIT 100 FOR UPDATE SKIP LOCKED)`,
  );
}
