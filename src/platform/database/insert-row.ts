import type { DeepPartial, EntityMetadata, ObjectLiteral, Repository } from 'typeorm';
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata.js';
import { queryRows } from './query-rows.js';
import { setColumn } from './row-mapper.js';
import { SqlCache } from './sql-cache.js';

interface Statement {
  sql: string;
  /** The columns with values of the database. */
  returned: ColumnMetadata[];
}

const statements = new SqlCache<Statement>();

/**
 * Inserts a row with one statement, and returns it with its generated columns, as a read would return them. Cascades do not apply:
 * `save()` plans them, which takes most of its CPU time. TypeORM builds the SQL once per set of given columns, instead of once
 * per row.
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

  const columns = metadata.columns.filter(isInserted);
  const properties: unknown[] = columns.map((column) => column.getEntityValue(row));
  // TypeORM inserts the text that a function returns as SQL.
  if (!isPlain(metadata) || properties.some((value) => typeof value === 'function')) {
    await repository.insert(row);
    return row;
  }
  const { driver } = manager.dataSource;
  const inserted: unknown[] = columns.map((column, index) => driver.preparePersistentValue(properties[index], column));
  const key = inserted.map((value) => (value === undefined ? 'default' : 'given')).join();
  const { sql, returned } = statements.get(metadata, key, () => buildStatement(repository, row));
  const given = inserted.filter((value) => value !== undefined);
  const [raw] = await queryRows(manager.dataSource, sql, given, queryRunner);
  if (raw) for (const column of returned) setColumn(row, column, raw[column.databaseName]);
  return row;
}

/** As TypeORM decides. */
const isInserted = ({ isInsert, isGenerated, generationStrategy }: ColumnMetadata) =>
  isInsert && !(isGenerated && generationStrategy === 'increment');

/** Whether the statement of a row contains its values and nothing else. A listener may also change them first. */
function isPlain({ beforeInsertListeners, afterInsertListeners, dataSource, discriminatorColumn }: EntityMetadata) {
  const listeners = [beforeInsertListeners, afterInsertListeners, dataSource.subscribers];
  return !discriminatorColumn && listeners.every(({ length }) => length === 0);
}

function buildStatement<Row extends ObjectLiteral>({ manager, metadata }: Repository<Row>, row: Row): Statement {
  const returned = metadata.getInsertionReturningColumns();
  const [sql] = manager
    .createQueryBuilder()
    .insert()
    .into(metadata.target)
    .values(row)
    .returning(returned.map(({ propertyPath }) => propertyPath))
    .getQueryAndParameters();
  return { sql, returned };
}

/** Inserts rows with one statement, such as those that belong to another one. */
export async function insertRows<Row extends ObjectLiteral>(
  repository: Repository<Row>,
  values: DeepPartial<NoInfer<Row>>[],
): Promise<void> {
  await repository.insert(repository.create(values));
}
