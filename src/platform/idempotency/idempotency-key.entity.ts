import { Column, CreateDateColumn, Entity, Index, PrimaryColumn } from 'typeorm';

/** The first response to a request with an Idempotency-Key. */
@Entity('idempotency_keys')
export class IdempotencyKey {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'PK_idempotency_keys' })
  principal!: string;

  @PrimaryColumn('text', { primaryKeyConstraintName: 'PK_idempotency_keys' })
  key!: string;

  @Column('text')
  fingerprint!: string;

  /** JSON as text: jsonb would not preserve it byte for byte. */
  @Column('text')
  answer!: string;

  @Index('IX_idempotency_keys_created_at')
  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;
}
