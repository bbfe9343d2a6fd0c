import type { EntityMetadata, FindOptionsWhere, ObjectLiteral, Repository } from 'typeorm';
import { queryRows } from './query-rows.js';
import { type RowMapper, rowMapper } from './row-mapper.js';

const ALIAS = 'r';

interface Statement {
  sql: string;
  toRow: RowMapper;
}

/** Undefined for an entity without a row mapper. */
const statements = new WeakMap<EntityMetadata, Statement | undefined>();

/**
 * Returns a row by its id, or null, like `repository.findOneBy({ id })`, with half of the CPU time. TypeORM builds the SQL once
 * per entity instead of once per call.
 */
export async function findById<Row extends ObjectLiteral & { id: string }>(
  repository: Repository<Row>,
  id: string,
): Promise<Row | null> {
  const { manager, metadata, queryRunner } = repository;
  if (!statements.has(metadata)) statements.set(metadata, buildStatement(repository));
  const statement = statements.get(metadata);
  if (!statement) return repository.findOneBy({ id } as FindOptionsWhere<Row>);
  const [raw] = await queryRows(manager.dataSource, statement.sql, [id], queryRunner);
  return raw ? (statement.toRow(raw) as Row) : null;
}

function buildStatement<Row extends ObjectLiteral>(repository: Repository<Row>): Statement | undefined {
  const toRow = rowMapper(repository.metadata, ALIAS);
  if (!toRow) return undefined;
  const [sql] = repository.createQueryBuilder(ALIAS).where(`${ALIAS}.id = :id`, { id: '' }).getQueryAndParameters();
  return { sql, toRow };
}
