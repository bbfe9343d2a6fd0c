import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager, Raw } from 'typeorm';
import { withRetryableTransaction } from '../database/retryable-transaction.js';
import { Problem } from '../problems/problem.js';
import type { ProblemDto } from '../problems/problem.dto.js';
import { toProblem } from '../problems/to-problem.js';
import { IdempotencyKey } from './idempotency-key.entity.js';
import { idempotencyKeyInUse, idempotencyKeyReused } from './idempotency.problems.js';
import type { IdempotentRequest } from './idempotent-request.decorator.js';

const RETENTION_HOURS = 24;

/** What the work came to: its result, or the conflict (409) that it ended with. */
type Answer<T> = { result: T } | { problem: ProblemDto };

@Injectable()
export class IdempotencyService {
  constructor(private readonly dataSource: DataSource) {}

  /**
   * Does the work of a request that bears an Idempotency-Key once: a repeat within 24 hours gets the first answer. The
   * key, the effect of the work and the answer are one transaction. A conflict (409) is an answer like a result; after
   * any other failure nothing is kept, and a repeat tries again.
   *
   * @param request undefined does the work as it is, without a transaction
   * @param work must reach the database through the manager that it is given
   * @throws {Problem} idempotency_key_in_use, idempotency_key_reused
   */
  async run<T>(request: IdempotentRequest, work: (manager: EntityManager) => Promise<T>): Promise<T> {
    if (!request) return work(this.dataSource.manager);
    const answer = await withRetryableTransaction(this.dataSource.manager, (manager) =>
      this.answer(manager, request, work),
    );
    if ('problem' in answer) throw new Problem(answer.problem, answer.problem);
    return answer.result;
  }

  private async answer<T>(
    manager: EntityManager,
    request: NonNullable<IdempotentRequest>,
    work: (manager: EntityManager) => Promise<T>,
  ): Promise<Answer<T>> {
    const { principal, key, fingerprint } = request;
    // Not a lock to wait for: twenty equal requests would hold twenty connections until the first is done.
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
    if (before) return JSON.parse(before.answer);

    const answer = await this.firstAnswer(manager, request, work);
    // In the place of the key's own expired answer, if there is one.
    await manager
      .createQueryBuilder()
      .insert()
      .into(IdempotencyKey)
      .values({ principal, key, fingerprint, answer: JSON.stringify(answer) })
      .orUpdate(['fingerprint', 'answer', 'created_at'], ['principal', 'key'])
      .updateEntity(false)
      .execute();
    await this.removeExpired(manager);
    return answer;
  }

  /** In a savepoint, so that a conflict undoes what the work has written before it. */
  private async firstAnswer<T>(
    manager: EntityManager,
    { requestId }: NonNullable<IdempotentRequest>,
    work: (manager: EntityManager) => Promise<T>,
  ): Promise<Answer<T>> {
    try {
      return { result: await manager.transaction(work) };
    } catch (error) {
      const { details } = toProblem(error);
      if (details.status !== 409) throw error;
      return { problem: { ...details, requestId } };
    }
  }

  /** Rows that a rival removes at this moment are left to it: two that wait for each other would be a deadlock. */
  private async removeExpired(manager: EntityManager): Promise<void> {
    await manager.query(
      `DELETE FROM idempotency_keys WHERE (principal, key) IN (
         SELECT principal, key FROM idempotency_keys WHERE created_at <= now() - interval '${RETENTION_HOURS} hours'
         ORDER BY created_at LIMIT 100 FOR UPDATE SKIP LOCKED)`,
    );
  }
}
