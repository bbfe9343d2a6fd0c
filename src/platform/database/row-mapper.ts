import type { EntityMetadata, ObjectLiteral } from 'typeorm';
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata.js';

/** Maps the columns of a result, whose names begin with the alias of the query, to an entity. */
export type RowMapper = (raw: ObjectLiteral) => ObjectLiteral;

/** TypeORM shortens longer aliases than PostgreSQL's 63 bytes. */
const MAX_NAME = 63;

const selectedColumns = new WeakMap<EntityMetadata, ColumnMetadata[] | undefined>();

/** Returns undefined for an entity whose rows need more than one conversion per column. */
export function rowMapper(metadata: EntityMetadata, alias: string): RowMapper | undefined {
  if (!selectedColumns.has(metadata)) selectedColumns.set(metadata, findSelectedColumns(metadata));
  const fields = selectedColumns.get(metadata)?.map((column) => ({ column, name: `${alias}_${column.databaseName}` }));
  if (!fields?.every(({ name }) => name.length <= MAX_NAME)) return undefined;
  return (raw) => {
    const row = metadata.create(undefined, { fromDeserializer: true }) as ObjectLiteral;
    for (const { column, name } of fields) setColumn(row, column, raw[name]);
    return row;
  };
}

/** @param raw the value of a result */
export function setColumn(row: ObjectLiteral, column: ColumnMetadata, raw: unknown): void {
  const value: unknown = column.entityMetadata.dataSource.driver.prepareHydratedValue(raw, column);
  // setEntityValue() creates a closure.
  if (column.embeddedMetadata) column.setEntityValue(row, value);
  else row[column.propertyName] = value;
}

function findSelectedColumns(metadata: EntityMetadata): ColumnMetadata[] | undefined {
  const { dataSource, columns, eagerRelations, inheritancePattern, afterLoadListeners } = metadata;
  const isPlain =
    !inheritancePattern &&
    eagerRelations.length === 0 &&
    afterLoadListeners.length === 0 &&
    !dataSource.subscribers.some((subscriber) => 'afterLoad' in subscriber) &&
    columns.every(({ isVirtualProperty }) => !isVirtualProperty);
  return isPlain ? columns.filter(({ isSelect, isVirtual }) => isSelect && !isVirtual) : undefined;
}
