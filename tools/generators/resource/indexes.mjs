import { strings } from '@angular-devkit/core';
import { checkIdentifier } from './names.mjs';

/** Null sorts after every date. */
const keyOf = ({ column, optional }) => (optional ? `coalesce("${column}", 'infinity')` : `"${column}"`);

/**
 * Returns the indexes of a list: one for each sort order, one for each filter in each sort order, and one for the search.
 * A unique field has the index of its constraint. `properties` is missing if the index contains an expression.
 *
 * @returns {{ name: string, sql: string, properties?: string[] }[]}
 */
export function indexesOf({ table }, { sorts, filters, searched }) {
  const createdAt = { name: 'createdAt', column: 'created_at' };
  const sorted = (sort, filter) => {
    const columns = filter ? `"${filter.column}", ${keyOf(sort)}, "id"` : `${keyOf(sort)}, "id"`;
    const suffix = filter && (sort === createdAt ? filter.column : `${filter.column}_by_${sort.column}`);
    const properties = [...(filter ? [filter.name] : []), sort.name, 'id'];
    return {
      name: `IX_${table}_${suffix ?? sort.column}`,
      sql: `(${columns})`,
      ...(!sort.optional && { properties }),
    };
  };
  const indexes = [
    ...[createdAt, ...sorts.filter(({ unique, optional }) => !unique || optional)].map((sort) => sorted(sort)),
    ...filters
      .filter(({ unique }) => !unique)
      .flatMap((filter) => [createdAt, ...sorts].map((sort) => sorted(sort, filter))),
  ];
  if (searched.length > 0) {
    const columns = searched.map(({ column }) => `lower("${column}" COLLATE "und-x-icu") gin_trgm_ops`);
    // A search also reads the changes that are not yet in the index: at most this many kB.
    const sql = `USING gin (${columns.join(', ')}) WITH (gin_pending_list_limit = 256)`;
    indexes.push({ name: `IX_${table}_search`, sql });
  }
  for (const [position, { name }] of indexes.entries()) {
    checkIdentifier(strings.camelize(table), name);
    if (indexes.findIndex((other) => other.name === name) !== position)
      throw new Error(`Two indexes would have the name ${name}. Rename a field`);
  }
  return indexes;
}
