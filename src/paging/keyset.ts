import { createHash } from 'node:crypto';
import type { ObjectLiteral, SelectQueryBuilder } from 'typeorm';
import { Problem } from '../errors/problem.js';
import { invalidRequest } from '../errors/problem-types.js';

export interface Page<Item> {
  items: Item[];
  /** Hand it back as `cursor` for the page that follows; null on the last one. */
  nextCursor: string | null;
}

/** What a list can be sorted by: an SQL expression that is never null, its type, and its value for a row as text. */
export interface SortKey<Row> {
  sql: string;
  type: 'text' | 'integer' | 'timestamptz';
  valueOf(row: Row): string;
}

export interface PageRequest<Name extends string = string> {
  limit: number;
  /** The name of a sort key, with `-` before it for descending. */
  sort: Name | `-${Name}`;
  cursor?: string;
}

/**
 * Reads one page after the last row of the page before it, not after a number of rows: whatever is inserted or
 * deleted meanwhile, a row that stays is seen exactly once. The id decides among rows with equal sort values.
 * See https://use-the-index-luke.com/no-offset
 *
 * @param query the filtered query; its main alias must have a uuid column `id`
 * @param filters all that narrows the list: a cursor is refused by a list that is filtered or sorted otherwise
 * @throws {Problem} invalid_request when the cursor is not one that this list gave
 */
export async function keysetPage<Row extends ObjectLiteral & { id: string }, Name extends string>(
  query: SelectQueryBuilder<Row>,
  { limit, sort, cursor, ...filters }: PageRequest<Name> & Record<string, unknown>,
  sortKeys: Record<Name, SortKey<Row>>,
): Promise<Page<Row>> {
  const descending = sort.startsWith('-');
  const key = sortKeys[(descending ? sort.slice(1) : sort) as Name];
  const list = createHash('sha256')
    .update(JSON.stringify([sort, filters]))
    .digest('base64url')
    .slice(0, 8);
  const id = `${query.alias}.id`;

  if (cursor !== undefined) {
    const after = decodeCursor(cursor, list, key.type);
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

function encodeCursor(list: string, value: string, id: string): string {
  return Buffer.from(JSON.stringify([list, value, id])).toString('base64url');
}

const VALUES: Record<SortKey<never>['type'], RegExp> = {
  text: /^[^\0]{0,1000}$/s,
  integer: /^-?\d{1,9}$/,
  timestamptz: /^infinity$|^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
};
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function decodeCursor(cursor: string, list: string, type: SortKey<never>['type']): { value: string; id: string } {
  const [of, value, id] = parts(cursor);
  if (
    of === list &&
    value !== undefined &&
    VALUES[type].test(value) &&
    value.isWellFormed() &&
    isRealTime(type, value) &&
    UUID.test(id ?? '')
  ) {
    return { value, id: String(id) };
  }
  const detail = 'must be the nextCursor of this list, with the same sort and filters';
  throw new Problem(invalidRequest, { errors: [{ in: 'query', pointer: '#/cursor', detail }] });
}

/** PostgreSQL would fail on 31 February. */
function isRealTime(type: SortKey<never>['type'], value: string): boolean {
  if (type !== 'timestamptz' || value === 'infinity') return true;
  const time = new Date(value);
  return !Number.isNaN(time.valueOf()) && time.toISOString() === value;
}

function parts(cursor: string): (string | undefined)[] {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    return Array.isArray(parsed) && parsed.every((part) => typeof part === 'string') ? parsed : [];
  } catch {
    return [];
  }
}
