import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Repository } from 'typeorm';
import { findById } from '../../../src/platform/database/find-by-id.js';
import { findForUpdate } from '../../../src/platform/database/find-for-update.js';
import { type Page, paginate, type SortKey } from '../../../src/platform/database/paginate.js';
import { withRetryableTransaction } from '../../../src/platform/database/retryable-transaction.js';
import type { IfMatch } from '../../../src/platform/http/if-match.decorator.js';
import { IdempotencyService } from '../../../src/platform/idempotency/idempotency.service.js';
import type { IdempotentRequest } from '../../../src/platform/idempotency/idempotent-request.decorator.js';
import { Problem } from '../../../src/platform/problems/problem.js';
import type {
  CreateTestNoteDto,
  ListTestNotesDto,
  ShareTestNoteDto,
  TestNoteSort,
  UpdateTestNoteDto,
} from './test-note.dto.js';
import { TestNote } from './test-note.entity.js';
import { testNoteDone, testNoteNotFound } from './test-note.problems.js';

const SORT_KEYS: Record<TestNoteSort, SortKey<TestNote>> = {
  createdAt: { sql: 'note.createdAt', type: 'timestamptz', valueOf: ({ createdAt }) => createdAt.toISOString() },
  title: { sql: 'note.title', type: 'text', valueOf: ({ title }) => title },
  dueAt: {
    sql: `coalesce(note.dueAt, 'infinity')`,
    type: 'timestamptz',
    valueOf: ({ dueAt }) => dueAt?.toISOString() ?? 'infinity',
  },
  shares: { sql: 'note.shares', type: 'integer', valueOf: ({ shares }) => String(shares) },
};

@Injectable()
export class TestNotesService {
  constructor(
    @InjectRepository(TestNote) private readonly notes: Repository<TestNote>,
    private readonly idempotency: IdempotencyService,
  ) {}

  create(dto: CreateTestNoteDto, createdBy: string): Promise<TestNote> {
    return this.notes.save(this.notes.create({ ...dto, createdBy }));
  }

  list(query: ListTestNotesDto): Promise<Page<TestNote>> {
    const rows = this.notes.createQueryBuilder('note');
    if (query.done !== undefined) rows.andWhere('note.done = :done', { done: query.done });
    return paginate(rows, query, SORT_KEYS);
  }

  async get(id: string): Promise<TestNote> {
    const note = await findById(this.notes, id);
    if (!note) throw new Problem(testNoteNotFound);
    return note;
  }

  update(id: string, changes: UpdateTestNoteDto, ifMatch: IfMatch): Promise<TestNote> {
    return withRetryableTransaction(this.notes.manager, async (manager) => {
      const note = await findForUpdate(manager, TestNote, { id, ifMatch, notFound: testNoteNotFound });
      manager.merge(TestNote, note, changes);
      return manager.save(note);
    });
  }

  remove(id: string, ifMatch: IfMatch): Promise<void> {
    return withRetryableTransaction(this.notes.manager, async (manager) => {
      await manager.remove(await findForUpdate(manager, TestNote, { id, ifMatch, notFound: testNoteNotFound }));
    });
  }

  share(id: string, { recipient }: ShareTestNoteDto, request: IdempotentRequest) {
    return this.idempotency.run(request, async (manager) => {
      const note = await findForUpdate(manager, TestNote, { id, notFound: testNoteNotFound });
      if (note.done) throw new Problem(testNoteDone);
      await manager.increment(TestNote, { id }, 'shares', 1);
      return { shares: note.shares + 1, recipient: recipient ?? null };
    });
  }
}
