import { hash } from 'node:crypto';
import type { ObjectLiteral, SelectQueryBuilder } from 'typeorm';
import { Problem } from '../problems/problem.js';
import { invalidRequest } from '../problems/problem-types.js';

export interface Page<Item> {
  items: Item[];
  /** The `cursor` of the next page; null on the last page. */
  nextCursor: string | null;
}

/** A sort order of a list: an SQL expression that is never null, its type, and its value for a row as text. */
export interface SortKey<Row> {
  sql: string;
  type: 'text' | 'integer' | 'numeric' | 'timestamptz';
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
 * @param query the filtered query; its main alias must have a uuid column `id`
 * @param request the query DTO. A cursor is valid for the same sort and the same filters only
 * @throws {Problem} invalid_request for any other cursor
 */
export async function paginate<Row extends ObjectLiteral & { id: string }, Name extends string>(
  query: SelectQueryBuilder<Row>,
  { limit, sort, cursor, ...filters }: PageRequest<Name>,
  sortKeys: Record<Name, SortKey<Row>>,
): Promise<Page<Row>> {
  const descending = sort.startsWith('-');
  const key = sortKeys[(descending ? sort.slice(1) : sort) as Name];
  const list = [sort, filters];
  const id = `${query.alias}.id`;

  if (cursor !== undefined) {
    const after = decodeCursor(cursor, list);
    query.andWhere(`(${key.sql}, ${id}) ${descending ? '<' : '>'} (:value::${key.type}, :id::uuid)`, after);
  }
  const direction = descending ? 'DESC' : 'ASC';
  const rows = await query
    .addSelect(key.sql, 'sort_value')
    .orderBy('sort_value', direction)
    .addOrderBy(id, direction)
    .limit(limit + 1)
    .getMany();

  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return {
    items,
    nextCursor: last && rows.length > limit ? encodeCursor(list, key.valueOf(last), last.id) : null,
  };
}

function encodeCursor(list: unknown, value: string, id: string): string {
  return Buffer.from(JSON.stringify([checksum(list, value, id), value, id])).toString('base64url');
}

function decodeCursor(cursor: string, list: unknown): { value: string; id: string } {
  try {
    const [sum, value, id] = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (sum === checksum(list, value, id)) return { value, id };
  } catch {
    // not a cursor
  }
  const detail = 'must be the nextCursor of this list, with the same sort and filters';
  throw new Problem(invalidRequest, { errors: [{ in: 'query', pointer: '#/cursor', detail }] });
}

/** Detects mistakes. It is no signature: a forged cursor returns rows that the client may read anyway. */
function checksum(...parts: unknown[]): string {
  return hash('sha256', JSON.stringify(parts), 'base64url').slice(0, 8);
}
