// The edits and commands with which a team prepares a release.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { registerMigration } from '../../tools/generators/migrations.mjs';

const BATCH_SIZE = 5000;
const INDEX = 'src/migrations/index.ts';

export class Team {
  constructor(clone, databaseUrl) {
    Object.assign(this, { clone, databaseUrl });
  }

  /** Runs an npm script, which must succeed. */
  npm(script, ...args) {
    const env = ['env', `DATABASE_URL=${this.databaseUrl}`];
    const { status, output } = this.clone.attempt(...env, 'npm', 'run', '--silent', script, '--', ...args);
    assert.equal(status, 0, `npm run ${script} ${args.join(' ')}\n${output}`);
    return output;
  }

  write(file, text) {
    writeFileSync(join(this.clone.folder, file), text);
  }

  /** Replaces text of a file, all of which must exist. */
  edit(file, ...replacements) {
    let text = readFileSync(join(this.clone.folder, file), 'utf8');
    for (const [from, to] of replacements) {
      assert.notEqual(text.search(typeof from === 'string' ? RegExp.escape(from) : from), -1, `${file}: ${from}`);
      text = text.replace(from, to);
    }
    this.write(file, text);
  }

  resource(name, fields) {
    this.npm('generate', name, `--fields=${fields}`);
  }

  generate(name, ...rules) {
    this.npm('db:generate', name, ...(rules.length > 0 ? [`--allow=${rules.join()}`] : []));
  }

  /** Writes a migration by hand. It runs without a transaction for a backfill and for CONCURRENTLY. */
  migrate(name, statements) {
    const index = readFileSync(join(this.clone.folder, INDEX), 'utf8');
    const last = [...index.matchAll(/(\d+)-[\w-]+\.js/g)].map(([, timestamp]) => Number(timestamp));
    const timestamp = Math.max(...last) + 1;
    const words = name.split('-').map((word) => word[0].toUpperCase() + word.slice(1));
    const className = `${words.join('')}${timestamp}`;
    const inTransaction = !statements.some((statement) => /^let |CONCURRENTLY/.test(statement));
    const code = statements.map((statement) =>
      statement.startsWith('let ') ? statement : `await queryRunner.query(\`${statement}\`);`,
    );
    this.write(
      `src/migrations/${timestamp}-${name}.ts`,
      `import type { MigrationInterface, QueryRunner } from 'typeorm';

export class ${className} implements MigrationInterface {
  name = '${className}';
  ${inTransaction ? '' : 'transaction = false;'}

  async up(queryRunner: QueryRunner): Promise<void> {
    ${code.join('\n    ')}
  }

  async down(): Promise<void> {}
}
`,
    );
    this.write(INDEX, registerMigration(index, className, `${timestamp}-${name}`));
  }

  /** Returns the code of a backfill, as in docs/schema-changes.md. */
  batches(table, change, condition) {
    return `let updated = 1;
    while (updated > 0) {
      [, updated] = await queryRunner.query(\`
        UPDATE "${table}" SET ${change} WHERE "id" IN (
          SELECT "id" FROM "${table}" WHERE ${condition} LIMIT ${BATCH_SIZE} FOR UPDATE
        )\`);
    }`;
  }

  /** Returns the code of a backfill into another table, whose statement has the limit and returns the rows. */
  insertBatches(statementOf) {
    return `let inserted = 1;
    while (inserted > 0) inserted = (await queryRunner.query(\`${statementOf(BATCH_SIZE)}\`)).length;`;
  }

  /** Requires a column whose values exist. A migration keeps its locks until it ends, so each lock has its own. */
  require(table, column) {
    const check = `CK_${table}_${column}`;
    const name = `${table}-${column}`.replaceAll('_', '-');
    this.migrate(`check-${name}`, [
      `ALTER TABLE "${table}" ADD CONSTRAINT "${check}" CHECK ("${column}" IS NOT NULL) NOT VALID`,
    ]);
    this.migrate(`validate-${name}`, [`ALTER TABLE "${table}" VALIDATE CONSTRAINT "${check}"`]);
    this.migrate(`require-${name}`, [
      `-- squawk-ignore adding-not-nullable-field
ALTER TABLE "${table}" ALTER COLUMN "${column}" SET NOT NULL`,
      `ALTER TABLE "${table}" DROP CONSTRAINT "${check}"`,
    ]);
  }
}
