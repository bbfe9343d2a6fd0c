import type { ObjectLiteral, QueryRunner, SelectQueryBuilder } from 'typeorm';
import { queryRows } from './query-rows.js';
import { rowMapper } from './row-mapper.js';
import { SqlCache } from './sql-cache.js';

const texts = new SqlCache<string>();

/**
 * Returns the rows of a query like `query.getMany()`, which takes most of the CPU time of a list. TypeORM's mapping also joins
 * rows, and it builds the SQL again for each query.
 */
export async function getRows<Row extends ObjectLiteral>(query: SelectQueryBuilder<Row>): Promise<Row[]> {
  const { alias, dataSource, expressionMap } = query;
  const { aliases, selects, joinAttributes, relationIdAttributes, commonTableExpressions } = expressionMap;
  const isPlain =
    !dataSource.queryResultCache &&
    aliases.length === 1 &&
    [joinAttributes, relationIdAttributes, commonTableExpressions].every(({ length }) => length === 0) &&
    selects.every(({ selection }) => selection === alias);
  const toRow = isPlain ? rowMapper(aliases[0]!.metadata, alias) : undefined;
  if (!toRow) return query.getMany();
  const [sql, values] = dataSource.driver.escapeQueryWithParameters(textOf(query), query.getParameters());
  const queryRunner = Reflect.get(query, 'queryRunner') as QueryRunner | undefined; // protected in its class
  const rows = await queryRows(dataSource, sql, values, queryRunner);
  return rows.map(toRow) as Row[];
}

/** Returns `query.getQuery()` of a query without joins. Conditions that are objects can contain values of any size and type. */
function textOf(query: SelectQueryBuilder<ObjectLiteral>): string {
  const { aliases, wheres } = query.expressionMap;
  if (!wheres.every(({ condition }) => typeof condition === 'string')) return query.getQuery();
  const { metadata, name, tablePath, subQuery } = aliases[0]!;
  // Bound parameters are names in the text.
  const omitted = { dataSource: undefined, aliases: undefined, mainAlias: undefined, parameters: undefined };
  const key = JSON.stringify([name, tablePath, subQuery, { ...query.expressionMap, ...omitted }]);
  return texts.get(metadata, key, () => query.getQuery());
}
