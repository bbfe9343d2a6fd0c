import type { ObjectLiteral } from 'typeorm';

/** A search condition of a list, for paginate(). */
export interface Search {
  sql: string;
  parameters: ObjectLiteral;
  /** An SQL condition: whether an index finds the matching rows. */
  isIndexed: string;
  /** The name of the sort order whose index has the matching rows side by side. */
  sort?: string;
}

/** Whether a term has fewer than three characters, which a trigram index cannot find inside of a text. */
export const isShort = (term: string) => Array.from(term).length < 3;

/**
 * Matches the rows that contain the term in one of the columns, ignoring case. A short term must begin the first column.
 * The columns need a trigram index: https://www.postgresql.org/docs/current/pgtrgm.html#PGTRGM-INDEX
 */
export function contains(columns: [string, ...string[]], term: string): Search {
  const literal = term.replaceAll(/[\\%_]/g, String.raw`\$&`);
  const [searched, pattern, indexed] = isShort(term)
    ? [columns.slice(0, 1), `${literal}%`, /^[\p{L}\p{N}]/u]
    : [columns, `%${literal}%`, /[\p{L}\p{N}]{3}/u];
  return {
    sql: `(${searched.map((column) => `${lower(column)} LIKE ${lower(':search')}`).join(' OR ')})`,
    parameters: { search: pattern },
    // A trigram has letters and digits only, and the locale of the database decides what a letter is.
    isIndexed: indexed.test(term) ? 'cardinality(show_trgm(:search)) > 0' : 'false',
  };
}

/** Matches the rows in which a column with the collation "C" begins with the term. `sort` is the sort order by this column. */
export function startsWith(column: string, term: string, sort: string): Search {
  return {
    sql: `(${column} >= :search_from AND ${column} < :search_to)`,
    parameters: { search_from: term, search_to: `${term}\u{10FFFF}` },
    isIndexed: 'true',
    sort,
  };
}

/** With the collation, letter case does not depend on the database's locale. */
const lower = (expression: string) => `lower(${expression} COLLATE "und-x-icu")`;
