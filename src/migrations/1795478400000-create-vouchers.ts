import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateVouchers1795478400000 implements MigrationInterface {
  name = 'CreateVouchers1795478400000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE "vouchers" (
        "id" uuid NOT NULL DEFAULT gen_random_uuid(),
        "code" text COLLATE "C" NOT NULL,
        "description" text,
        "metadata" jsonb NOT NULL DEFAULT '{}',
        "max_redemptions" integer NOT NULL,
        "redemptions" integer NOT NULL DEFAULT 0,
        "expires_at" timestamptz(3),
        "active" boolean NOT NULL DEFAULT true,
        "version" integer NOT NULL DEFAULT 1,
        "created_at" timestamptz(3) NOT NULL DEFAULT now(),
        "updated_at" timestamptz(3) NOT NULL DEFAULT now(),
        CONSTRAINT "PK_vouchers" PRIMARY KEY ("id"),
        CONSTRAINT "UQ_vouchers_code" UNIQUE ("code"),
        CONSTRAINT "CK_vouchers_redemptions" CHECK (redemptions BETWEEN 0 AND max_redemptions)
      )`);
    await queryRunner.query(`CREATE INDEX "IX_vouchers_created_at" ON "vouchers" ("created_at", "id")`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`DROP TABLE "vouchers"`);
  }
}
