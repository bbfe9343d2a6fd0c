// Statements of migrations that lose data, block a busy table or break the previous release.
import { spawnSync } from 'node:child_process';

/** The safe sequence by rule of Squawk. Each step is one deployment: https://squawkhq.com/docs/rules */
const SAFE_SEQUENCES = {
  'ban-drop-column': [
    'release code that does not use the column: @Column({ nullable: true, select: false, insert: false, update: false })',
    'drop it',
  ],
  'ban-drop-table': ['release code that does not use the table', 'drop it'],
  'renaming-column': [
    'add the new column; write both',
    'copy the rows in batches; read the new column, write both',
    'release code that does not use the old column',
    'drop it',
  ],
  'renaming-table': [
    'add the new table; write both',
    'copy the rows in batches; read the new table, write both',
    'release code that does not use the old table',
    'drop it',
  ],
  'changing-column-type': [
    'add a column of the new type; write both',
    'copy the rows in batches; read the new column, write both',
    'release code that does not use the old column',
    'drop it',
  ],
  'adding-required-field': ['add the column with a default, or nullable', 'fill it in batches', 'set NOT NULL'],
  'adding-field-with-default': ['add the column nullable; write it', 'fill it in batches', 'set NOT NULL'],
  'adding-not-nullable-field': [
    'write the column always',
    'fill it in batches; ADD CONSTRAINT … CHECK (column IS NOT NULL) NOT VALID; VALIDATE CONSTRAINT; SET NOT NULL; drop the constraint',
  ],
  'require-concurrent-index-creation': ['CREATE INDEX CONCURRENTLY in a migration with transaction = false'],
  'disallowed-unique-constraint': [
    'CREATE UNIQUE INDEX CONCURRENTLY in a migration with transaction = false; ADD CONSTRAINT … UNIQUE USING INDEX',
  ],
  'constraint-missing-not-valid': ['ADD CONSTRAINT … NOT VALID', 'VALIDATE CONSTRAINT'],
  'adding-foreign-key-constraint': ['ADD CONSTRAINT … NOT VALID', 'VALIDATE CONSTRAINT'],
};

/**
 * Returns the hazards in the statements of a migration. Tables that the same migration creates have none.
 *
 * @param {string[]} statements
 * @param {boolean} inTransaction whether the migration runs in a transaction
 * @returns {{ rule: string, statement: string, remedy: string }[]} one per rule and statement
 */
export function hazardsOf(statements, inTransaction = true) {
  const starts = [];
  let sql = '';
  for (const statement of statements) {
    starts.push(sql.split('\n').length);
    sql += `${statement.trim()};\n`;
  }
  const hazards = lint(sql, inTransaction).map(({ rule_name: rule, line, message, help }) => {
    const index = starts.findLastIndex((start) => start <= line + 1);
    const steps = SAFE_SEQUENCES[rule]?.map((step, number, all) => (all.length > 1 ? `${number + 1}. ${step}` : step));
    return {
      rule,
      statement: statements[index],
      remedy: steps?.join('; ') ?? [message, help].filter(Boolean).join(' '),
    };
  });
  return hazards.filter(
    ({ rule, statement }, index) =>
      hazards.findIndex((other) => other.rule === rule && other.statement === statement) === index,
  );
}

function lint(sql, inTransaction) {
  const transaction = inTransaction ? '--assume-in-transaction' : '--no-assume-in-transaction';
  const args = [
    'node_modules/squawk-cli/js/bin/squawk',
    '--reporter',
    'json',
    transaction,
    '--stdin-filepath',
    'up.sql',
  ];
  const { stdout, stderr } = spawnSync(process.execPath, args, { input: sql, encoding: 'utf8' });
  try {
    return JSON.parse(stdout);
  } catch (cause) {
    throw new Error(`Squawk cannot lint the migrations: ${stderr || stdout}`, { cause });
  }
}

/** Returns the statements, each with the comment that accepts its hazards. */
export function accepting(statements, hazards) {
  return statements.map((statement) => {
    const rules = hazards.filter((hazard) => hazard.statement === statement).map(({ rule }) => rule);
    return rules.length > 0 ? `-- squawk-ignore ${rules.join(', ')}\n${statement}` : statement;
  });
}

/** Returns the hazards as indented lines. */
export function describe(hazards) {
  return hazards
    .map(({ rule, statement, remedy }) => `  ${statement.replaceAll(/\s+/g, ' ').trim()}\n    ${rule}: ${remedy}`)
    .join('\n');
}
