import {
  Check,
  Column,
  CreateDateColumn,
  Entity,
  Index,
  PrimaryGeneratedColumn,
  Unique,
  UpdateDateColumn,
  VersionColumn,
} from 'typeorm';

@Entity('vouchers')
@Unique('UQ_vouchers_code', ['code'])
@Check('CK_vouchers_redemptions', 'redemptions BETWEEN 0 AND max_redemptions')
@Index('IX_vouchers_created_at', ['createdAt', 'id'])
@Index('IX_vouchers_expires_at', { synchronize: false })
@Index('IX_vouchers_redemptions', ['redemptions', 'id'])
@Index('IX_vouchers_active', ['active', 'createdAt', 'id'])
@Index('IX_vouchers_active_by_code', ['active', 'code', 'id'])
@Index('IX_vouchers_active_by_expires_at', { synchronize: false })
@Index('IX_vouchers_active_by_redemptions', ['active', 'redemptions', 'id'])
@Index('IX_vouchers_open', ['open', 'createdAt', 'id'])
@Index('IX_vouchers_open_by_code', ['open', 'code', 'id'])
@Index('IX_vouchers_open_by_expires_at', { synchronize: false })
@Index('IX_vouchers_open_by_redemptions', ['open', 'redemptions', 'id'])
@Index('IX_vouchers_search', { synchronize: false })
export class Voucher {
  @PrimaryGeneratedColumn('uuid', { primaryKeyConstraintName: 'PK_vouchers' })
  id!: string;

  // Byte order, so that sorting does not depend on the database's locale.
  @Column({ type: 'text', collation: 'C' })
  code!: string;

  @Column({ type: 'text', nullable: true })
  description!: string | null;

  @Column({ type: 'jsonb', default: {} })
  metadata!: Record<string, unknown>;

  @Column({ name: 'max_redemptions', type: 'integer' })
  maxRedemptions!: number;

  @Column({ type: 'integer', default: 0 })
  redemptions!: number;

  // Milliseconds, as a Date has them: a page cursor must hold the exact value.
  @Column({ name: 'expires_at', type: 'timestamptz', precision: 3, nullable: true })
  expiresAt!: Date | null;

  @Column({ type: 'boolean', default: true })
  active!: boolean;

  // Redeemable, or expired since a list last closed expired vouchers. Set by a trigger, because now() cannot be in an index.
  @Column({ type: 'boolean', nullable: true, select: false, insert: false, update: false })
  open!: boolean;

  @VersionColumn({ default: 1 })
  version!: number;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz', precision: 3 })
  createdAt!: Date;

  @UpdateDateColumn({ name: 'updated_at', type: 'timestamptz', precision: 3 })
  updatedAt!: Date;
}
