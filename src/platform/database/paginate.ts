import { hash } from 'node:crypto';
import type { ObjectLiteral, SelectQueryBuilder } from 'typeorm';
import { Problem } from '../problems/problem.js';
import { invalidRequest } from '../problems/problem-types.js';
import { findBoundedPage } from './bounded-page.js';
import { getRows } from './get-rows.js';
import type { Search } from './search.js';

export interface Page<Item> {
  items: Item[];
  /** The `cursor` of the next page; null on the last page. */
  nextCursor: string | null;
}

/**
 * A sort order of a list: an SQL expression that is never null, its type, and its value for a row as text. Write a column as
 * ALIAS.PROPERTY, which stays unambiguous when the query joins other tables.
 */
export interface SortKey<Row> {
  sql: string;
  type: 'text' | 'integer' | 'bigint' | 'numeric' | 'date' | 'timestamptz';
  valueOf(row: Row): string;
}

export interface PageRequest<Name extends string = string> {
  limit: number;
  /** The name of a sort key, with `-` before it for descending. */
  sort: Name | `-${Name}`;
  cursor?: string;
}

/**
 * Returns one page by keyset pagination: the rows after the last row of the previous page. Rows that are neither inserted
 * nor deleted meanwhile are returned exactly once. The id orders rows with equal sort values.
 * See https://use-the-index-luke.com/no-offset
 *
 * A list with one filter needs an index of the filter, the sort key and the id. With several filters or a search, a page
 * reads a bounded number of rows.
 *
 * @param query the filtered query, which may join other tables; its main alias must have a uuid column `id`. Each condition
 *   is one andWhere()
 * @param request the query DTO. A cursor is valid for the same sort and the same filters only
 * @throws {Problem} invalid_request for any other cursor; query_too_broad if the bound does not suffice
 */
export async function paginate<Row extends ObjectLiteral & { id: string }, Name extends string>(
  query: SelectQueryBuilder<Row>,
  { limit, sort, cursor, ...filters }: PageRequest<Name>,
  sortKeys: Record<Name, SortKey<Row>>,
  search?: Search,
): Promise<Page<Row>> {
  const descending = sort.startsWith('-');
  const name = (descending ? sort.slice(1) : sort) as Name;
  const key = sortKeys[name];
  const list = [sort, filters];
  const id = `${query.alias}.id`;
  const isFilter = search?.sort === name;
  if (search) query.setParameters(search.parameters);
  if (search && isFilter) query.andWhere(search.sql);

  const direction = descending ? 'DESC' : 'ASC';
  query.orderBy(key.sql, direction).addOrderBy(id, direction);
  const conditions = [...query.expressionMap.wheres];
  if (cursor !== undefined) {
    const after = decodeCursor(cursor, list);
    query.andWhere(`(${key.sql}, ${id}) ${descending ? '<' : '>'} (:cursor_value::${key.type}, :cursor_id::uuid)`, {
      cursor_value: after.value,
      cursor_id: after.id,
    });
  }
  if (conditions.length > 1 || (search && !isFilter)) {
    const ids = await findBoundedPage({
      query,
      filters: conditions,
      search: isFilter ? undefined : search,
      after: query.expressionMap.wheres[conditions.length],
      sortSql: key.sql,
      direction,
      limit: limit + 1,
      joinsMany: joinsMany(query),
    });
    // The conditions also select the embedded rows of a join.
    if (query.expressionMap.joinAttributes.length === 0) query.expressionMap.wheres = [];
    query.andWhere(`${id} = ANY (:page_ids)`, { page_ids: ids });
  } else if (joinsMany(query)) {
    // LIMIT counts joined rows, so a subquery selects the ids of the page.
    const page = query
      .clone()
      .select(id, 'id')
      .addSelect(key.sql, 'sort_value')
      .distinct()
      .limit(limit + 1);
    query.andWhere(`${id} IN (SELECT page.id FROM (${page.getQuery()}) AS page)`);
  } else {
    query.limit(limit + 1);
  }
  const rows = await getRows(query);

  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return {
    items,
    nextCursor: last && rows.length > limit ? encodeCursor(list, key.valueOf(last), last.id) : null,
  };
}

/** Whether the query can return a row several times. A join without a relation may be to-many too. */
const joinsMany = (query: SelectQueryBuilder<ObjectLiteral>) =>
  query.expressionMap.joinAttributes.some(({ relation }) => !relation || relation.isOneToMany || relation.isManyToMany);

export function encodeCursor(list: unknown, value: string, id: string): string {
  return Buffer.from(JSON.stringify([checksum(list, value, id), value, id])).toString('base64url');
}

export function decodeCursor(cursor: string, list: unknown): { value: string; id: string } {
  try {
    const [sum, value, id] = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (sum === checksum(list, value, id)) return { value, id };
  } catch {
    // not a cursor
  }
  const detail = 'must be the nextCursor of this list, with the same sort and filters';
  throw new Problem(invalidRequest, { errors: [{ in: 'query', pointer: '#/cursor', detail }] });
}

/** Detects mistakes. It is not a signature: a forged cursor returns rows that the client may read anyway. */
function checksum(...parts: unknown[]): string {
  return hash('sha256', JSON.stringify(parts), 'base64url').slice(0, 8);
}
