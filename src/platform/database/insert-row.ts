import { isDeepStrictEqual } from 'node:util';
import type { DeepPartial, ObjectLiteral, Repository } from 'typeorm';
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata.js';
import { queryRows } from './query-rows.js';
import { setColumn } from './row-mapper.js';
import { SqlCache } from './sql-cache.js';

interface Statement {
  sql: string;
  returned: ColumnMetadata[];
}

/** Undefined for rows that need `repository.insert()`. */
const statements = new SqlCache<Statement | undefined>();

/**
 * Inserts a row with one statement, and returns it with its generated columns. Cascades do not apply: `save()` plans them,
 * which takes most of its CPU time. TypeORM builds the SQL once per set of given columns, instead of once per row.
 */
export async function insertRow<Row extends ObjectLiteral>(
  repository: Repository<Row>,
  values: DeepPartial<NoInfer<Row>>,
): Promise<Row> {
  const { manager, metadata, queryRunner } = repository;
  const row = repository.create(values);
  const many = [...metadata.oneToManyRelations, ...metadata.manyToManyRelations];
  const ignored = many.find(({ propertyName }) => row[propertyName] !== undefined);
  if (ignored) throw new Error(`insertRow() does not insert ${ignored.propertyName}: insert them in the transaction`);

  const { driver } = manager.dataSource;
  const columns = metadata.columns.filter(({ isInsert }) => isInsert);
  const inserted = columns.map((column) => {
    const value: unknown = column.getEntityValue(row);
    return isSql(value) ? value : driver.preparePersistentValue(value, column);
  });
  const bound = inserted.filter((value) => value !== undefined);
  const key = inserted.map((value) => (value === undefined ? 'default' : isSql(value) ? 'sql' : 'bound')).join();
  const statement = statements.get(metadata, key, () => buildStatement(repository, row, bound));
  if (!statement) {
    await repository.insert(row);
    return row;
  }
  const [raw = {}] = await queryRows(manager.dataSource, statement.sql, bound, queryRunner);
  for (const column of statement.returned) setColumn(row, column, raw[column.databaseName]);
  return row;
}

/** TypeORM inserts the text that a function returns as SQL. */
const isSql = (value: unknown) => typeof value === 'function';

/** @param bound the values that the caller will bind to the parameters of the statement */
function buildStatement<Row extends ObjectLiteral>(
  repository: Repository<Row>,
  row: Row,
  bound: unknown[],
): Statement | undefined {
  const { beforeInsertListeners, afterInsertListeners, dataSource } = repository.metadata;
  const listeners = [...beforeInsertListeners, ...afterInsertListeners, ...dataSource.subscribers];
  const returned = repository.metadata.getInsertionReturningColumns();
  const [sql, parameters] = repository
    .createQueryBuilder()
    .insert()
    .values(row)
    .returning(returned.map(({ propertyPath }) => propertyPath))
    .getQueryAndParameters();
  const isPlain = listeners.length === 0 && isDeepStrictEqual(parameters, bound);
  return isPlain ? { sql, returned } : undefined;
}

/** Inserts rows with one statement, such as those that belong to another one. */
export async function insertRows<Row extends ObjectLiteral>(
  repository: Repository<Row>,
  values: DeepPartial<NoInfer<Row>>[],
): Promise<void> {
  await repository.insert(repository.create(values));
}
