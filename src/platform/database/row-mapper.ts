import type { EntityMetadata, ObjectLiteral, QueryRunner, SelectQueryBuilder } from 'typeorm';
import { queryRows } from './query-rows.js';

/** Maps the columns of a result, whose names begin with the alias of the query, to an entity. */
type RowMapper = (raw: ObjectLiteral, alias: string) => ObjectLiteral;

/** TypeORM shortens longer aliases than PostgreSQL's 63 bytes. */
const MAX_NAME = 63;

const mappers = new WeakMap<EntityMetadata, RowMapper | undefined>();

/**
 * Returns the rows of a query like `query.getMany()`. TypeORM's own mapping, which also joins rows, takes most of the CPU time
 * of a list.
 */
export async function getRows<Row extends ObjectLiteral>(query: SelectQueryBuilder<Row>): Promise<Row[]> {
  const { alias, dataSource, expressionMap } = query;
  const { mainAlias, selects, joinAttributes, relationIdAttributes } = expressionMap;
  const isPlain =
    !dataSource.queryResultCache &&
    joinAttributes.length === 0 &&
    relationIdAttributes.length === 0 &&
    selects.every(({ selection }) => selection === alias);
  const toRow = isPlain && mainAlias ? rowMapper(mainAlias.metadata, alias) : undefined;
  if (!toRow) return query.getMany();
  const [sql, values] = query.getQueryAndParameters() as [string, unknown[]];
  const queryRunner = Reflect.get(query, 'queryRunner') as QueryRunner | undefined; // protected in its class
  const rows = await queryRows(dataSource, sql, values, queryRunner);
  return rows.map((raw) => toRow(raw, alias) as Row);
}

/** Returns undefined for an entity whose rows need more than one conversion per column. */
export function rowMapper(metadata: EntityMetadata, alias: string): RowMapper | undefined {
  if (!mappers.has(metadata)) mappers.set(metadata, createMapper(metadata));
  const isShort = metadata.columns.every(({ databaseName }) => `${alias}_${databaseName}`.length <= MAX_NAME);
  return isShort ? mappers.get(metadata) : undefined;
}

function createMapper(metadata: EntityMetadata): RowMapper | undefined {
  const { dataSource, columns, eagerRelations, inheritancePattern, afterLoadListeners } = metadata;
  const isPlain =
    !inheritancePattern &&
    eagerRelations.length === 0 &&
    afterLoadListeners.length === 0 &&
    !dataSource.subscribers.some((subscriber) => 'afterLoad' in subscriber) &&
    columns.every(({ isVirtualProperty }) => !isVirtualProperty);
  if (!isPlain) return undefined;
  const selected = columns.filter(({ isSelect, isVirtual }) => isSelect && !isVirtual);
  return (raw, alias) => {
    const row = metadata.create(undefined, { fromDeserializer: true }) as ObjectLiteral;
    for (const column of selected) {
      const value: unknown = raw[`${alias}_${column.databaseName}`];
      column.setEntityValue(row, dataSource.driver.prepareHydratedValue(value, column));
    }
    return row;
  };
}
