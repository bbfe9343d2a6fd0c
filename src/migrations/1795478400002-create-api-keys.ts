import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateApiKeys1795478400002 implements MigrationInterface {
  name = 'CreateApiKeys1795478400002';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE "api_keys" (
        "id" text NOT NULL,
        "name" text NOT NULL,
        "hash" text NOT NULL,
        "scopes" text[] NOT NULL,
        "expires_at" timestamptz,
        "revoked_at" timestamptz,
        "last_used_at" timestamptz,
        "created_at" timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT "PK_api_keys" PRIMARY KEY ("id")
      )`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`DROP TABLE "api_keys"`);
  }
}
