// The statements that drop tables, and those that create what TypeORM does not: functions, triggers, indexes with an expression,
// and tables without an entity. PostgreSQL returns their definitions: https://www.postgresql.org/docs/current/functions-info.html

const TABLES = `
  SELECT relname AS name FROM pg_class
   WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace ORDER BY relname`;

const TABLE = `
  SELECT format('CREATE TABLE %I (%s)', relname, concat_ws(', ', columns, constraints)) AS definition FROM pg_class,
    LATERAL (SELECT string_agg(concat_ws(' ', quote_ident(attname), format_type(atttypid, atttypmod),
                 CASE WHEN attnotnull THEN 'NOT NULL' END, 'DEFAULT ' || pg_get_expr(adbin, adrelid)), ', ' ORDER BY attnum) AS columns
               FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
              WHERE attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped),
    LATERAL (SELECT string_agg(format('CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)), ', ' ORDER BY contype DESC) AS constraints
               FROM pg_constraint WHERE conrelid = pg_class.oid AND contype <> 'n')
   WHERE oid = $1::regclass`;

/** The functions of the triggers of these tables only. Those of an extension remain. */
const FUNCTIONS = `
  SELECT DISTINCT oid::regprocedure::text AS name, pg_get_functiondef(oid) AS definition FROM pg_proc
   WHERE oid IN (SELECT tgfoid FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = ANY ($1::regclass[]))
     AND oid NOT IN (SELECT tgfoid FROM pg_trigger WHERE tgrelid <> ALL ($1::regclass[]))
     AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e') ORDER BY name`;

/** DROP TABLE keeps the enum types of the columns. */
const TYPES = `
  SELECT DISTINCT typname AS name FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
   WHERE typtype = 'e' AND attrelid = ANY ($1::regclass[]) ORDER BY name`;

const INDEXES_AND_TRIGGERS = `
  SELECT pg_get_indexdef(indexrelid) AS definition FROM pg_index WHERE indrelid = ANY ($1::regclass[])
  UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = ANY ($1::regclass[]) ORDER BY definition`;

const quoted = (name) => `"${name}"`;

/**
 * Returns the statements that drop the tables of entities, and other tables for which `isOwn` returns true. `create` creates
 * what TypeORM does not, except the indexes and triggers that `missing` returns when all tables exist again.
 *
 * @param {import('typeorm').DataSource} dataSource
 * @param {string[]} entityTables
 * @param {(table: string) => boolean} isOwn
 */
export async function dropStatements(dataSource, entityTables, isOwn) {
  const known = new Set(['migrations', ...dataSource.entityMetadatas.map(({ tableName }) => tableName)]);
  const isOther = ({ name }) => !known.has(name) && isOwn(name);
  const others = (await dataSource.query(TABLES)).filter(isOther).map(({ name }) => quoted(name));
  const tables = [...entityTables.map(quoted), ...others];
  const createTables = [];
  for (const table of others) createTables.push(...(await dataSource.query(TABLE, [table])));
  const functions = await dataSource.query(FUNCTIONS, [tables]);
  const types = await dataSource.query(TYPES, [tables]);
  const indexesAndTriggers = async () =>
    (await dataSource.query(INDEXES_AND_TRIGGERS, [tables])).map(({ definition }) => definition);
  const before = await indexesAndTriggers();
  return {
    drop: [
      `DROP TABLE ${tables.join(', ')}`,
      ...functions.map(({ name }) => `DROP FUNCTION ${name}`),
      ...types.map(({ name }) => `DROP TYPE ${quoted(name)}`),
    ],
    create: [...createTables, ...functions].map(({ definition }) => definition),
    missing: async () => {
      const present = new Set(await indexesAndTriggers());
      return before.filter((definition) => !present.has(definition));
    },
  };
}
