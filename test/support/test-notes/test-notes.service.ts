import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { type EntityManager, Repository } from 'typeorm';
import { withRetryableTransaction } from '../../../src/platform/database/retryable-transaction.js';
import type { IfMatch } from '../../../src/platform/http/if-match.decorator.js';
import { type Page, paginate, type SortKey } from '../../../src/platform/http/paginate.js';
import { preconditionFailed } from '../../../src/platform/problems/problem-types.js';
import { Problem } from '../../../src/platform/problems/problem.js';
import type { CreateTestNoteDto, ListTestNotesDto, TestNoteSort, UpdateTestNoteDto } from './test-note.dto.js';
import { TestNote } from './test-note.entity.js';
import { testNoteDone, testNoteNotFound } from './test-note.problems.js';

const SORT_KEYS: Record<TestNoteSort, SortKey<TestNote>> = {
  createdAt: { sql: 'created_at', type: 'timestamptz', valueOf: ({ createdAt }) => createdAt.toISOString() },
  title: { sql: 'title', type: 'text', valueOf: ({ title }) => title },
  dueAt: {
    sql: `coalesce(due_at, 'infinity')`,
    type: 'timestamptz',
    valueOf: ({ dueAt }) => dueAt?.toISOString() ?? 'infinity',
  },
  shares: { sql: 'shares', type: 'integer', valueOf: ({ shares }) => String(shares) },
};

@Injectable()
export class TestNotesService {
  constructor(@InjectRepository(TestNote) private readonly notes: Repository<TestNote>) {}

  create(dto: CreateTestNoteDto, createdBy: string): Promise<TestNote> {
    return this.notes.save(this.notes.create({ ...dto, createdBy }));
  }

  list({ done, ...page }: ListTestNotesDto): Promise<Page<TestNote>> {
    const query = this.notes.createQueryBuilder('note');
    if (done !== undefined) query.andWhere('done = :done', { done });
    return paginate(query, { ...page, done }, SORT_KEYS);
  }

  async get(id: string): Promise<TestNote> {
    const note = await this.notes.findOneBy({ id });
    if (!note) throw new Problem(testNoteNotFound);
    return note;
  }

  update(id: string, changes: UpdateTestNoteDto, ifMatch: IfMatch): Promise<TestNote> {
    return withRetryableTransaction(this.notes.manager, async (manager) => {
      const note = await this.lock(id, ifMatch, manager);
      manager.merge(TestNote, note, changes);
      return manager.save(note);
    });
  }

  remove(id: string, ifMatch: IfMatch): Promise<void> {
    return withRetryableTransaction(this.notes.manager, async (manager) => {
      await manager.remove(await this.lock(id, ifMatch, manager));
    });
  }

  async share(id: string, manager: EntityManager): Promise<TestNote> {
    const { affected } = await manager.increment(TestNote, { id, done: false }, 'shares', 1);
    const note = await manager.findOneBy(TestNote, { id });
    if (!note) throw new Problem(testNoteNotFound);
    if (!affected) throw new Problem(testNoteDone);
    return note;
  }

  private async lock(id: string, ifMatch: IfMatch, manager: EntityManager): Promise<TestNote> {
    const note = await manager.findOne(TestNote, { where: { id }, lock: { mode: 'pessimistic_write' } });
    if (!note) throw new Problem(testNoteNotFound);
    if (ifMatch && !ifMatch.includes(note.version)) throw new Problem(preconditionFailed);
    return note;
  }
}
