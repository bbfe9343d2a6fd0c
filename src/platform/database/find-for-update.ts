import type { EntityManager, EntityTarget, FindOptionsWhere, ObjectLiteral } from 'typeorm';
import { Problem, type ProblemType } from '../problems/problem.js';
import { preconditionFailed } from '../problems/problem-types.js';

/**
 * Returns a row by its id and locks it until the transaction ends, so that the checked version is the one updated. It has no
 * relations, also no eager ones: PostgreSQL cannot lock an outer join, and save() prefers a loaded relation to a changed id.
 *
 * @param ifMatch returns whether the client accepts the version; undefined accepts any
 * @throws {Problem} `notFound`, or precondition_failed when the row has another version
 */
export async function findForUpdate<Row extends ObjectLiteral & { id: string; version: number }>(
  manager: EntityManager,
  entity: EntityTarget<Row>,
  {
    id,
    ifMatch,
    notFound,
  }: { id: string; ifMatch?: ((version: number) => boolean) | undefined; notFound: ProblemType },
): Promise<Row> {
  const where = { id } as FindOptionsWhere<Row>;
  const row = await manager.findOne(entity, { where, loadEagerRelations: false, lock: { mode: 'pessimistic_write' } });
  if (!row) throw new Problem(notFound);
  if (ifMatch && !ifMatch(row.version)) throw new Problem(preconditionFailed);
  return row;
}
