import { Column, CreateDateColumn, Entity, PrimaryGeneratedColumn, Unique, VersionColumn } from 'typeorm';

@Entity('test_notes')
@Unique('UQ_test_notes_title', ['title'])
export class TestNote {
  @PrimaryGeneratedColumn('uuid')
  id!: string;

  @Column({ type: 'text', collation: 'C' })
  title!: string;

  @Column({ name: 'due_at', type: 'timestamptz', precision: 3, nullable: true })
  dueAt!: Date | null;

  @Column({ type: 'boolean', default: false })
  done!: boolean;

  @Column({ type: 'integer', default: 0 })
  shares!: number;

  @Column({ name: 'created_by', type: 'text' })
  createdBy!: string;

  @VersionColumn({ default: 1 })
  version!: number;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz', precision: 3 })
  createdAt!: Date;
}
