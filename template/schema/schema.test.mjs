// Changes entities in a fresh clone: `db:generate` keeps data and stops before hazards, and `db:check` finds hazards in migrations.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import pg from 'pg';
import { freshCopy } from '../support/fresh-copy.mjs';

const ENTITY = 'src/parcels/parcel.entity.ts';
const clone = freshCopy('schema');
after(() => clone.remove());
afterEach(() => {
  clone.run('git', 'reset', '--quiet', '--hard');
  clone.run('git', 'clean', '--quiet', '--force', '-d', 'src');
});

const read = (file) => readFileSync(join(clone.folder, file), 'utf8');
const write = (file, text) => writeFileSync(join(clone.folder, file), text);

/** Replaces text of the entity, all of which must exist. */
function change(...replacements) {
  let text = read(ENTITY);
  for (const [from, to] of replacements) {
    assert.ok(text.includes(from), from);
    text = text.replace(from, to);
  }
  write(ENTITY, text);
}

const attempt = (script, ...args) => clone.attempt('npm', 'run', '--silent', script, '--', ...args);

function succeeds(script, ...args) {
  const { status, output } = attempt(script, ...args);
  assert.equal(status, 0, output);
  return output;
}

function fails(script, ...args) {
  const { status, output } = attempt(script, ...args);
  assert.equal(status, 1, output);
  return output;
}

/** Asserts that a change is rejected for the rules, and returns the migration that accepts them. */
function generateAllowing(name, rules) {
  const output = fails('db:generate', name);
  assert.match(output, /^Nothing was written/m);
  assert.match(output, new RegExp(`db:generate -- ${name} --allow=${rules}$`, 'm'));
  assert.deepEqual(
    readdirSync(join(clone.folder, 'src/migrations')).filter((file) => file.includes(name)),
    [],
  );
  succeeds('db:generate', name, `--allow=${rules}`);
  return migration(name);
}

const migration = (name) =>
  read(
    join(
      'src/migrations',
      readdirSync(join(clone.folder, 'src/migrations')).find((file) => file.endsWith(`${name}.ts`)),
    ),
  );

/** Runs SQL in the database of the clone. */
async function query(sql) {
  const { withDatabase } = await import(join(clone.folder, 'tools/dev/postgres.mjs'));
  const before = process.cwd();
  process.chdir(clone.folder);
  try {
    return await withDatabase(async (connectionString) => {
      const client = new pg.Client({ connectionString });
      await client.connect();
      const { rows } = await client.query(sql);
      await client.end();
      return rows;
    });
  } finally {
    process.chdir(before);
  }
}

test('generates a resource', () => {
  const fields = 'label:string:unique,note:text:optional,grams:int,status:enum=new/sent,open:boolean';
  clone.run('npm', 'run', 'generate', '--', 'parcels', `--fields=${fields}`);
  succeeds('db:check');
  succeeds('db:migrate');
  clone.commitAll('parcels');
});

test('keeps the values of a renamed column and of a changed type, also in the reverse direction', async () => {
  await query(`INSERT INTO parcels (label, note, grams, status, open) VALUES ('a', 'fragile', 7, 'new', true)`);
  change([
    `@Column({ type: 'text', nullable: true })\n  note`,
    `@Column({ name: 'remark', type: 'text', nullable: true })\n  note`,
  ]);
  const rename = generateAllowing('rename-note', 'renaming-column');
  assert.match(rename, /-- squawk-ignore renaming-column\s+ALTER TABLE "parcels" RENAME COLUMN "note" TO "remark"/);
  change([`type: 'integer' })\n  grams`, `type: 'bigint' })\n  grams`]);
  const widen = generateAllowing('widen-grams', 'changing-column-type');
  assert.match(widen, /ALTER COLUMN "grams" TYPE bigint`/);
  change([`@Column({ type: 'boolean' })\n  open`, `@Column({ type: 'integer', default: 5 })\n  open`]);
  const cast = generateAllowing('cast-open', 'changing-column-type');
  assert.match(cast, /ALTER COLUMN "open" TYPE integer USING "open"::integer`/);
  assert.match(cast, /ALTER COLUMN "open" SET DEFAULT/);
  for (const sql of [rename, widen, cast]) assert.doesNotMatch(sql, /DROP COLUMN/);

  succeeds('db:check');
  succeeds('db:migrate');
  assert.deepEqual(await query('SELECT remark, grams, open FROM parcels'), [
    { remark: 'fragile', grams: '7', open: 1 },
  ]);
  for (let count = 0; count < 3; count++) succeeds('db:revert');
  assert.deepEqual(await query('SELECT note, grams, open FROM parcels'), [{ note: 'fragile', grams: 7, open: true }]);
});

test('stops before a change that loses data, blocks a table or breaks the previous release', () => {
  change(
    [`  @Column({ type: 'text', nullable: true })\n  note!`, '  note!'],
    [
      `grams!: number;`,
      `grams!: number;\n\n  @Column({ type: 'integer' })\n  height!: number;\n\n  @Column({ type: 'integer' })\n  width!: number;`,
    ],
    [`@Index(`, `@Unique('UQ_parcels_grams', ['grams'])\n@Index('IX_parcels_label_open', ['label', 'open'])\n@Index(`],
  );
  const output = fails('db:generate', 'many');
  for (const rule of [
    /DROP COLUMN "note"\n +ban-drop-column: 1\. release code that does not use the column.*2\. drop it/,
    /ADD "height" integer NOT NULL\n +adding-required-field: 1\. add the column with a default/,
    /UNIQUE \("grams"\)\n +.*: .*CREATE UNIQUE INDEX CONCURRENTLY/,
    /CREATE INDEX "IX_parcels_label_open".*\n +require-concurrent-index-creation: CREATE INDEX CONCURRENTLY/,
  ])
    assert.match(output, rule);
});

test('adds a foreign key in two steps', () => {
  change(
    [`  Index,`, `  Index,\n  JoinColumn,\n  ManyToOne,`],
    [
      `grams!: number;`,
      `grams!: number;\n\n  @ManyToOne('Voucher')\n  @JoinColumn({ name: 'voucher_id' })\n  voucher?: unknown;`,
    ],
  );
  assert.match(
    fails('db:generate', 'add-voucher'),
    /FOREIGN KEY .*\n +.*: 1\. ADD CONSTRAINT … NOT VALID; 2\. VALIDATE/,
  );
});

test('needs no permission for a change without hazards', () => {
  change([
    `grams!: number;`,
    `grams!: number;\n\n  @Column({ type: 'integer', default: 1 })\n  count!: number;\n\n  @Column({ type: 'text', nullable: true })\n  hint?: string | null;`,
  ]);
  change([`'new', 'sent'`, `'new', 'sent', 'lost'`]);
  succeeds('db:generate', 'additions');
  assert.match(migration('additions'), /ALTER TYPE "public"."parcels_status" ADD VALUE 'lost'/);
  assert.match(succeeds('db:check'), /without hazards/);
});

test('keeps generated columns and views as the entities define them', () => {
  change([
    `grams!: number;`,
    `grams!: number;\n\n  @Column({ type: 'tsvector', generatedType: 'STORED', asExpression: "to_tsvector('simple', label)", select: false, nullable: true })\n  search?: string;`,
  ]);
  write(ENTITY, read(ENTITY).replace('Entity,', 'Entity,\n  ViewColumn,\n  ViewEntity,'));
  write(
    ENTITY,
    `${read(ENTITY)}\n@ViewEntity({ name: 'heavy_parcels', expression: 'SELECT id, label FROM parcels WHERE grams > 1000' })\nexport class HeavyParcel {\n  @ViewColumn()\n  id!: string;\n}\n`,
  );
  generateAllowing('search', 'adding-field-with-default');
  assert.match(succeeds('db:check'), /without hazards/);
  assert.match(fails('db:generate', 'again'), /There is nothing to generate/);
});

test('db:check reports an index that a dropped column has removed', () => {
  change([`  @Column({ type: 'text', nullable: true })\n  note!`, '  note!']);
  generateAllowing('drop-note', 'ban-drop-column');
  assert.match(fails('db:check'), /do not create, or drop with a column: IX_parcels_search\./);
});

test('db:check finds hazards in migrations that were written by hand', () => {
  change([`grams!: number;`, `grams!: number;\n\n  @Column({ type: 'integer', default: 1 })\n  count!: number;`]);
  succeeds('db:generate', 'count');
  const file = readdirSync(join(clone.folder, 'src/migrations')).find((name) => name.endsWith('count.ts'));
  const before = read(`src/migrations/${file}`);
  const update = 'await queryRunner.query(`ALTER TABLE "parcels" ALTER COLUMN "count" SET NOT NULL`);';
  write(
    `src/migrations/${file}`,
    before.replace(
      'async up(queryRunner: QueryRunner): Promise<void> {',
      `$&\n${update.replace('"count"', '"grams"')}`,
    ),
  );
  assert.match(fails('db:check'), /Count\d+:\n.*"grams" SET NOT NULL\n +adding-not-nullable-field: 1\. /);
  write(
    `src/migrations/${file}`,
    read(`src/migrations/${file}`).replace(
      '`ALTER TABLE "parcels" ALTER',
      '`-- squawk-ignore adding-not-nullable-field\nALTER TABLE "parcels" ALTER',
    ),
  );
  succeeds('db:check');
});

test('test:previous runs the API tests of the last release on the new schema', () => {
  assert.match(succeeds('test:previous'), /No release yet/);
  clone.run('git', 'tag', 'v1.0.0');
  change([`grams!: number;`, `grams!: number;\n\n  @Column({ type: 'integer', default: 1 })\n  count!: number;`]);
  succeeds('db:generate', 'compatible');
  assert.match(succeeds('test:previous'), /The API tests of v1\.0\.0/);
  change([
    `@Column({ type: 'text', nullable: true })\n  note`,
    `@Column({ name: 'remark', type: 'text', nullable: true })\n  note`,
  ]);
  succeeds('db:generate', 'incompatible', '--allow=renaming-column');
  assert.match(
    fails('test:previous'),
    /expected 201 "Created", got 500[^]*the last release does not run on the new schema/,
  );
  assert.equal(clone.run('git', 'worktree', 'list').trim().split('\n').length, 1);

  clone.run('git', 'reset', '--quiet', '--hard');
  succeeds('resource:remove', 'parcels');
  assert.doesNotMatch(succeeds('test:previous'), /parcels/);
});
