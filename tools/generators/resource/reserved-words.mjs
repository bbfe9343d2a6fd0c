// https://tc39.es/ecma262/#prod-ReservedWord, and the reserved words of strict mode
const TYPESCRIPT = new Set(
  `arguments await break case catch class const continue debugger default delete do else enum eval export extends false
   finally for function if implements import in instanceof interface let new null package private protected public return
   static super switch this throw true try typeof undefined var void while with yield`.split(/\s+/),
);

// The output of PostgreSQL: SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T')
const SQL = new Set(
  `all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation column
   concurrently constraint create cross current_catalog current_date current_role current_schema current_time
   current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze from
   full grant group having ilike in initially inner intersect into is isnull join lateral leading left like limit localtime
   localtimestamp natural not notnull null offset on only or order outer overlaps placing primary references returning
   right select session_user similar some symmetric system_user table tablesample then to trailing true union unique user
   using variadic verbose when where window with`.split(/\s+/),
);

export const isReservedInTypeScript = (word) => TYPESCRIPT.has(word);
export const isReservedInSql = (word) => SQL.has(word);
