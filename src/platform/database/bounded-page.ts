import type { EntityManager, ObjectLiteral, SelectQueryBuilder } from 'typeorm';
import { Problem } from '../problems/problem.js';
import { queryTooBroad } from '../problems/problem-types.js';
import type { Search } from './search.js';

/** An upper bound on the rows that each scan reads. */
const MAX_SCANNED_ROWS = 10_000;
/** Enough to find a page of a frequent search term, whose matches the search index would all read. */
const FIRST_SCANNED_ROWS = 1_000;

/** Without current statistics, PostgreSQL may prefer to read or sort the whole table. */
const USE_INDEXES = `set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true)`;

type Query = SelectQueryBuilder<ObjectLiteral>;
type Condition = Query['expressionMap']['wheres'][number];

/** A page of rows that match several conditions. No index has all of them and the sort order. */
export interface BoundedPage {
  query: Query;
  /** Each has an index that continues with the sort key and the id. */
  filters: Condition[];
  search: Search | undefined;
  /** The condition for the rows after the previous page. */
  after: Condition | undefined;
  sortSql: string;
  direction: 'ASC' | 'DESC';
  limit: number;
  /** Whether the query can return a row several times. */
  joinsMany: boolean;
}

/** Reads the first rows in the sort order, of those that match `filter`; or rows that match the search, in any order. */
type Scan = { filter: Condition | undefined; maxRows: number } | 'search';

/**
 * Returns the ids of a page. It scans one index after another, and tests the other conditions on a bounded number of rows.
 * @throws {Problem} query_too_broad
 */
export function findBoundedPage(page: BoundedPage): Promise<string[]> {
  const { query, search } = page;
  const scanned = page.filters.filter((filter) => !isJoined(query, filter));
  const [first, ...others] = scanned.length > 0 ? scanned : [undefined];
  const scans: Scan[] = [first, ...others].map((filter) => ({ filter, maxRows: MAX_SCANNED_ROWS }));
  return query.dataSource.manager.transaction(async (manager) => {
    const select = `SELECT ${USE_INDEXES}, (${search?.isIndexed ?? 'false'}) AS "isIndexed"`;
    const [{ isIndexed }] = await run<[{ isIndexed: boolean }]>(manager, select, query.getParameters());
    if (isIndexed && !isJoined(query, search?.sql))
      scans.unshift({ filter: first, maxRows: FIRST_SCANNED_ROWS }, 'search');
    for (const scan of scans) {
      const ids = await findIds(manager, page, scan);
      if (ids) return ids;
    }
    const detail = 'Use fewer filters, a longer search term or another sort order';
    throw new Problem(queryTooBroad, { detail });
  });
}

/** Whether SQL may contain a column of a joined table. Scans do not join, so that they read an index of the list's table. */
function isJoined({ expressionMap }: Query, sql: unknown): boolean {
  const text = JSON.stringify(sql);
  return expressionMap.joinAttributes.some(({ alias }) => new RegExp(String.raw`\b${alias.name}\\?"?\.`).test(text));
}

/** Returns undefined if more rows than the scan may read can belong to the page. */
async function findIds(manager: EntityManager, page: BoundedPage, scan: Scan): Promise<string[] | undefined> {
  const { query, filters, search, after, direction, limit } = page;
  const { alias } = query;
  const given: Condition[] = search ? [...filters, { type: 'and', condition: search.sql }] : filters;
  const maxRows = scan === 'search' ? MAX_SCANNED_ROWS : scan.maxRows;

  const scanned = query
    .clone()
    .select(`${query.escape(alias)}.*`)
    .addSelect(page.sortSql, 'sort_value')
    .limit(maxRows);
  if (!isJoined(query, page.sortSql)) scanned.expressionMap.joinAttributes = [];
  const [source, rest] =
    scan === 'search'
      ? [given.slice(-1), [...filters, after]]
      : [[scan.filter, after], given.filter((condition) => condition !== scan.filter)];
  scanned.expressionMap.wheres = source.flatMap((condition) => condition ?? []);
  if (scan === 'search') scanned.orderBy();

  const matching = query
    .clone()
    .select(`${alias}.id`, 'id')
    .addSelect(`${query.escape(alias)}.sort_value`, 'sort_value');
  matching.expressionMap.wheres = rest.flatMap((condition) => condition ?? []);
  matching.orderBy('sort_value', direction).addOrderBy(`${alias}.id`, direction).distinct(page.joinsMany).limit(limit);
  for (const from of matching.expressionMap.aliases) if (from.type === 'from') from.subQuery = 'scanned';

  // In the sort order, the scan ends with the page. The search must end before its rows can be sorted.
  const [keyword, isComplete] =
    scan === 'search' ? ['MATERIALIZED', 'false'] : ['NOT MATERIALIZED', `cardinality(ids) = ${limit}`];
  const [{ ids, isWithin }] = await run<[{ ids: string[]; isWithin: boolean }]>(
    manager,
    `WITH scanned AS ${keyword} (${scanned.getQuery()}),
          page AS MATERIALIZED (SELECT ARRAY(SELECT id FROM (${matching.getQuery()}) AS matching) AS ids)
     SELECT ids, ${isComplete} OR (SELECT count(*) FROM scanned) < ${maxRows} AS "isWithin" FROM page`,
    query.getParameters(),
  );
  return isWithin ? ids : undefined;
}

function run<Rows>(manager: EntityManager, sql: string, parameters: ObjectLiteral): Promise<Rows> {
  const [text, values] = manager.dataSource.driver.escapeQueryWithParameters(sql, parameters);
  return manager.query(text, values as unknown[]);
}
