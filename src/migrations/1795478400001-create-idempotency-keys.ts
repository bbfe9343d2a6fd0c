import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateIdempotencyKeys1795478400001 implements MigrationInterface {
  name = 'CreateIdempotencyKeys1795478400001';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE "idempotency_keys" (
        "principal" text NOT NULL,
        "key" text NOT NULL,
        "fingerprint" text NOT NULL,
        "answer" text NOT NULL,
        "created_at" timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT "PK_idempotency_keys" PRIMARY KEY ("principal", "key")
      )`);
    await queryRunner.query(`CREATE INDEX "IX_idempotency_keys_created_at" ON "idempotency_keys" ("created_at")`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`DROP TABLE "idempotency_keys"`);
  }
}
