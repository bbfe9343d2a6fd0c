import { Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { type Counter, metrics } from '@opentelemetry/api';
import { type EntityManager, Repository } from 'typeorm';
import { BackgroundWrites } from '../platform/database/background-writes.js';
import { findById } from '../platform/database/find-by-id.js';
import { findForUpdate } from '../platform/database/find-for-update.js';
import { insertRow } from '../platform/database/insert-row.js';
import { type Page, paginate, type SortKey } from '../platform/database/paginate.js';
import { withRetryableTransaction } from '../platform/database/retryable-transaction.js';
import { contains, isShort, startsWith } from '../platform/database/search.js';
import type { IfMatch } from '../platform/http/if-match.decorator.js';
import { IdempotencyService } from '../platform/idempotency/idempotency.service.js';
import type { IdempotentRequest } from '../platform/idempotency/idempotent-request.decorator.js';
import { Problem } from '../platform/problems/problem.js';
import { overloaded } from '../platform/problems/problem-types.js';
import type {
  CreateVoucherDto,
  ListVouchersDto,
  RedeemVoucherDto,
  RedemptionDto,
  UpdateVoucherDto,
  VoucherSort,
  VoucherStatsDto,
} from './voucher.dto.js';
import { Voucher } from './voucher.entity.js';
import { voucherExhausted, voucherExpired, voucherInactive, voucherNotFound } from './voucher.problems.js';

const REDEEMABLE = 'active AND (expires_at IS NULL OR expires_at > now()) AND redemptions < max_redemptions';

/** Each batch is a short transaction. The number of batches bounds the time of a list, which closes expired vouchers first. */
const BATCH_SIZE = 1_000;
const MAX_BATCHES = 10;

/** The trigger of the table sets `open` to false. The order of the locks prevents a deadlock of two requests. */
const CLOSE_EXPIRED = `
  UPDATE vouchers SET open = false WHERE id IN (
    SELECT id FROM vouchers WHERE open AND coalesce(expires_at, 'infinity') <= now()
     ORDER BY coalesce(expires_at, 'infinity'), id LIMIT ${BATCH_SIZE} FOR UPDATE)`;

/** One statement counts and returns the reason of a failure. The outer SELECT returns the row before the update. */
const REDEEM = `
  WITH redeemed AS (
    UPDATE vouchers SET redemptions = redemptions + 1, version = version + 1, updated_at = now()
     WHERE code = $1 AND ${REDEEMABLE}
    RETURNING id, redemptions, max_redemptions - redemptions AS remaining, updated_at AS "redeemedAt"
  )
  SELECT NOT active AS inactive, expires_at <= now() AS expired, v.redemptions >= max_redemptions AS exhausted, redeemed.*
    FROM vouchers v LEFT JOIN redeemed USING (id) WHERE code = $1`;

interface RedeemedRow extends Pick<RedemptionDto, 'redemptions' | 'remaining'> {
  redeemedAt: Date | null;
  inactive: boolean;
  expired: boolean | null;
  exhausted: boolean;
}

const SORT_KEYS: Record<VoucherSort, SortKey<Voucher>> = {
  createdAt: { sql: 'voucher.createdAt', type: 'timestamptz', valueOf: ({ createdAt }) => createdAt.toISOString() },
  code: { sql: 'voucher.code', type: 'text', valueOf: ({ code }) => code },
  expiresAt: {
    sql: `coalesce(voucher.expiresAt, 'infinity')`,
    type: 'timestamptz',
    valueOf: ({ expiresAt }) => expiresAt?.toISOString() ?? 'infinity',
  },
  redemptions: { sql: 'voucher.redemptions', type: 'integer', valueOf: ({ redemptions }) => String(redemptions) },
};

/** @returns whether it was the last batch */
async function closeBatch(manager: EntityManager): Promise<boolean> {
  const [, closed] = await manager.query<[unknown, number]>(CLOSE_EXPIRED);
  return closed < BATCH_SIZE;
}

const MANY_EXPIRED = { detail: 'Many vouchers have expired at the same time', headers: { 'Retry-After': '5' } };

const searchFor = (q: string) =>
  isShort(q)
    ? startsWith('voucher.code', q.toUpperCase(), 'code')
    : contains(['voucher.code', 'voucher.description'], q);

@Injectable()
export class VouchersService implements OnModuleInit {
  private redemptions!: Counter;

  constructor(
    @InjectRepository(Voucher) private readonly vouchers: Repository<Voucher>,
    private readonly idempotency: IdempotencyService,
    private readonly writes: BackgroundWrites,
  ) {}

  onModuleInit(): void {
    this.redemptions = metrics.getMeter('vouchers').createCounter('vouchers.redemptions', { unit: '{redemption}' });
  }

  create(dto: CreateVoucherDto): Promise<Voucher> {
    return insertRow(this.vouchers, dto);
  }

  async list(query: ListVouchersDto): Promise<Page<Voucher>> {
    const { q, active, redeemable } = query;
    if (active === false && redeemable) return { items: [], nextCursor: null };
    const rows = this.vouchers.createQueryBuilder('voucher');
    // A redeemable voucher is active, so one of the two filters suffices unless they differ.
    if (active !== undefined && !redeemable) rows.andWhere('voucher.active = :active', { active });
    if (redeemable !== undefined && active !== false) {
      if (!(await this.closeExpired())) throw new Problem(overloaded, MANY_EXPIRED);
      rows.andWhere('voucher.open = :redeemable', { redeemable });
    }
    return paginate(rows, query, SORT_KEYS, q === undefined ? undefined : searchFor(q));
  }

  async stats(): Promise<VoucherStatsDto> {
    await this.closeExpired();
    const [stats] = await this.vouchers.query<[VoucherStatsDto]>(
      `SELECT coalesce(sum(total), 0)::integer AS total, coalesce(sum(active), 0)::integer AS active,
              coalesce(sum(open), 0)::integer AS redeemable, coalesce(sum(redemptions), 0)::float AS redemptions
         FROM voucher_counts`,
    );
    return stats;
  }

  async get(id: string): Promise<Voucher> {
    const voucher = await findById(this.vouchers, id);
    if (!voucher) throw new Problem(voucherNotFound);
    return voucher;
  }

  update(id: string, changes: UpdateVoucherDto, ifMatch: IfMatch): Promise<Voucher> {
    return withRetryableTransaction(this.vouchers.manager, async (manager) => {
      const voucher = await findForUpdate(manager, Voucher, { id, ifMatch, notFound: voucherNotFound });
      manager.merge(Voucher, voucher, changes);
      return manager.save(voucher);
    });
  }

  remove(id: string, ifMatch: IfMatch): Promise<void> {
    return withRetryableTransaction(this.vouchers.manager, async (manager) => {
      await manager.remove(await findForUpdate(manager, Voucher, { id, ifMatch, notFound: voucherNotFound }));
    });
  }

  async redeem(code: string, { reference }: RedeemVoucherDto, request: IdempotentRequest): Promise<RedemptionDto> {
    let isReplay = true;
    const redeemOnce = async (manager: EntityManager) => {
      isReplay = false;
      const counts = await this.incrementRedemptions(code, manager);
      return { code, reference: reference ?? null, ...counts };
    };
    // Without a key, the statement needs no transaction around it.
    const redemption = request
      ? await this.idempotency.run(request, redeemOnce)
      : await redeemOnce(this.vouchers.manager);
    if (!isReplay) this.redemptions.add(1);
    return redemption;
  }

  /** @returns whether all expired vouchers are closed. Otherwise the service continues in the background */
  private async closeExpired(): Promise<boolean> {
    for (let batch = 0; batch < MAX_BATCHES; batch++) {
      if (await closeBatch(this.vouchers.manager)) return true;
    }
    this.closeInBackground();
    return false;
  }

  private closeInBackground(): void {
    this.writes.add('close expired vouchers', async (manager) => {
      if (!(await closeBatch(manager))) this.closeInBackground();
    });
  }

  private async incrementRedemptions(code: string, manager: EntityManager) {
    for (;;) {
      const [row] = await manager.query<[RedeemedRow?]>(REDEEM, [code]);
      if (!row) throw new Problem(voucherNotFound);
      const { redemptions, remaining, redeemedAt, inactive, expired, exhausted } = row;
      if (redeemedAt) return { redemptions, remaining, redeemedAt };
      if (inactive) throw new Problem(voucherInactive);
      if (expired) throw new Problem(voucherExpired);
      if (exhausted) throw new Problem(voucherExhausted);
      // Another request changed the voucher during the statement: decide again.
    }
  }
}
