import type { MigrationInterface, QueryRunner } from 'typeorm';

const BATCH_SIZE = 1_000;

const EXPIRES_AT = `coalesce("expires_at", 'infinity')`;
const text = (column: string) => `lower("${column}" COLLATE "und-x-icu") gin_trgm_ops`;

/** Each sort order of the list needs an index, and another one for each filter. */
const INDEXES = {
  IX_vouchers_expires_at: `(${EXPIRES_AT}, "id")`,
  IX_vouchers_redemptions: `("redemptions", "id")`,
  IX_vouchers_active: `("active", "created_at", "id")`,
  IX_vouchers_active_by_code: `("active", "code", "id")`,
  IX_vouchers_active_by_expires_at: `("active", ${EXPIRES_AT}, "id")`,
  IX_vouchers_active_by_redemptions: `("active", "redemptions", "id")`,
  IX_vouchers_open: `("open", "created_at", "id")`,
  IX_vouchers_open_by_code: `("open", "code", "id")`,
  IX_vouchers_open_by_expires_at: `("open", ${EXPIRES_AT}, "id")`,
  IX_vouchers_open_by_redemptions: `("open", "redemptions", "id")`,
  // A search also reads the changes that are not yet in the index: at most this many kB.
  IX_vouchers_search: `USING gin (${text('code')}, ${text('description')}) WITH (gin_pending_list_limit = 256)`,
};

/** Runs while the service reads and writes. After a failure, it continues where it stopped. */
export class IndexVouchers1795564800001 implements MigrationInterface {
  name = 'IndexVouchers1795564800001';
  transaction = false;

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('CREATE EXTENSION IF NOT EXISTS pg_trgm');
    for (const [name, definition] of Object.entries(INDEXES)) {
      await queryRunner.query(`CREATE INDEX CONCURRENTLY IF NOT EXISTS "${name}" ON "vouchers" ${definition}`);
    }
    // The triggers set "open" and count each voucher once.
    for (let last: string | undefined = '00000000-0000-0000-0000-000000000000'; last !== undefined;) {
      const batch: { id: string }[] = await queryRunner.query(
        `WITH batch AS (SELECT id FROM vouchers WHERE id > $1 ORDER BY id LIMIT ${BATCH_SIZE}),
              filled AS (UPDATE vouchers SET open = NULL WHERE open IS NULL AND id IN (SELECT id FROM batch))
         SELECT id FROM batch ORDER BY id DESC LIMIT 1`,
        [last],
      );
      last = batch[0]?.id;
    }
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const name of Object.keys(INDEXES)) await queryRunner.query(`DROP INDEX "${name}"`);
  }
}
