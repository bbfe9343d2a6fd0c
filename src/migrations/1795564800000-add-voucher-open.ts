import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Adds the column and the counters that lists and statistics read. The next migration fills them for existing vouchers. */
export class AddVoucherOpen1795564800000 implements MigrationInterface {
  name = 'AddVoucherOpen1795564800000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`ALTER TABLE "vouchers" ADD COLUMN "open" boolean`);
    // A session counts in the row of its process id, so that transactions rarely wait for each other.
    await queryRunner.query(`
      CREATE TABLE "voucher_counts" (
        "shard" integer NOT NULL,
        "total" bigint NOT NULL,
        "active" bigint NOT NULL,
        "open" bigint NOT NULL,
        "redemptions" bigint NOT NULL,
        CONSTRAINT "PK_voucher_counts" PRIMARY KEY ("shard")
      )`);
    await queryRunner.query(`
      CREATE FUNCTION set_voucher_open() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        NEW.open := NEW.active AND NEW.redemptions < NEW.max_redemptions AND coalesce(NEW.expires_at > now(), true);
        RETURN NEW;
      END $$`);
    await queryRunner.query(`
      CREATE TRIGGER "TR_vouchers_open" BEFORE INSERT OR UPDATE ON "vouchers"
        FOR EACH ROW EXECUTE FUNCTION set_voucher_open()`);
    // Existing vouchers have no "open" and are not counted yet.
    await queryRunner.query(`
      CREATE FUNCTION count_vouchers() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF TG_OP = 'TRUNCATE' THEN
          DELETE FROM voucher_counts;
        END IF;
        IF TG_OP IN ('INSERT', 'UPDATE') THEN
          INSERT INTO voucher_counts AS counts
          SELECT pg_backend_pid() % 1024, count(*), sum(active::int), sum(open::int), sum(redemptions)
            FROM added WHERE open IS NOT NULL HAVING count(*) > 0
          ON CONFLICT (shard) DO UPDATE SET total = counts.total + excluded.total, active = counts.active + excluded.active,
            open = counts.open + excluded.open, redemptions = counts.redemptions + excluded.redemptions;
        END IF;
        IF TG_OP IN ('UPDATE', 'DELETE') THEN
          INSERT INTO voucher_counts AS counts
          SELECT pg_backend_pid() % 1024, -count(*), -sum(active::int), -sum(open::int), -sum(redemptions)
            FROM removed WHERE open IS NOT NULL HAVING count(*) > 0
          ON CONFLICT (shard) DO UPDATE SET total = counts.total + excluded.total, active = counts.active + excluded.active,
            open = counts.open + excluded.open, redemptions = counts.redemptions + excluded.redemptions;
        END IF;
        RETURN NULL;
      END $$`);
    for (const [event, rows] of [
      ['INSERT', 'REFERENCING NEW TABLE AS added'],
      ['UPDATE', 'REFERENCING OLD TABLE AS removed NEW TABLE AS added'],
      ['DELETE', 'REFERENCING OLD TABLE AS removed'],
      ['TRUNCATE', ''],
    ]) {
      await queryRunner.query(`
        CREATE TRIGGER "TR_vouchers_count_${event}" AFTER ${event} ON "vouchers" ${rows}
          FOR EACH STATEMENT EXECUTE FUNCTION count_vouchers()`);
    }
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const event of ['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) {
      await queryRunner.query(`DROP TRIGGER "TR_vouchers_count_${event}" ON "vouchers"`);
    }
    await queryRunner.query(`DROP TRIGGER "TR_vouchers_open" ON "vouchers"`);
    await queryRunner.query(`DROP FUNCTION count_vouchers, set_voucher_open`);
    await queryRunner.query(`DROP TABLE "voucher_counts"`);
    await queryRunner.query(`ALTER TABLE "vouchers" DROP COLUMN "open"`);
  }
}
