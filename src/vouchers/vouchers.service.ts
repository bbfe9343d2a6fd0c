import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { type EntityManager, Repository } from 'typeorm';
import { findForUpdate } from '../platform/database/find-for-update.js';
import { type Page, paginate, type SortKey } from '../platform/database/paginate.js';
import { withRetryableTransaction } from '../platform/database/retryable-transaction.js';
import type { IfMatch } from '../platform/http/if-match.decorator.js';
import { IdempotencyService } from '../platform/idempotency/idempotency.service.js';
import type { IdempotentRequest } from '../platform/idempotency/idempotent-request.decorator.js';
import { Problem } from '../platform/problems/problem.js';
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

const SORT_KEYS: Record<VoucherSort, SortKey<Voucher>> = {
  createdAt: { sql: 'created_at', type: 'timestamptz', valueOf: ({ createdAt }) => createdAt.toISOString() },
  code: { sql: 'code', type: 'text', valueOf: ({ code }) => code },
  expiresAt: {
    sql: `coalesce(expires_at, 'infinity')`,
    type: 'timestamptz',
    valueOf: ({ expiresAt }) => expiresAt?.toISOString() ?? 'infinity',
  },
  redemptions: { sql: 'redemptions', type: 'integer', valueOf: ({ redemptions }) => String(redemptions) },
};

@Injectable()
export class VouchersService {
  constructor(
    @InjectRepository(Voucher) private readonly vouchers: Repository<Voucher>,
    private readonly idempotency: IdempotencyService,
  ) {}

  create(dto: CreateVoucherDto): Promise<Voucher> {
    return this.vouchers.save(this.vouchers.create(dto), { transaction: false }); // a single statement
  }

  list(query: ListVouchersDto): Promise<Page<Voucher>> {
    const { q, active, redeemable } = query;
    const rows = this.vouchers.createQueryBuilder('voucher');
    if (q !== undefined) {
      rows.andWhere('(strpos(lower(code), lower(:q)) > 0 OR strpos(lower(description), lower(:q)) > 0)', { q });
    }
    if (active !== undefined) rows.andWhere('active = :active', { active });
    if (redeemable !== undefined) rows.andWhere(`(${REDEEMABLE}) = :redeemable`, { redeemable });
    return paginate(rows, query, SORT_KEYS);
  }

  async stats(): Promise<VoucherStatsDto> {
    const [stats] = await this.vouchers.query<[VoucherStatsDto]>(
      `SELECT count(*)::integer AS total,
              count(*) FILTER (WHERE active)::integer AS active,
              count(*) FILTER (WHERE ${REDEEMABLE})::integer AS redeemable,
              coalesce(sum(redemptions), 0)::float AS redemptions
         FROM vouchers`,
    );
    return stats;
  }

  async get(id: string): Promise<Voucher> {
    const voucher = await this.vouchers.findOneBy({ id });
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

  redeem(code: string, { reference }: RedeemVoucherDto, request: IdempotentRequest): Promise<RedemptionDto> {
    return this.idempotency.run(request, async (manager) => {
      const counts = await this.incrementRedemptions(code, manager);
      return { code, reference: reference ?? null, ...counts };
    });
  }

  /** One statement checks and counts, so two redemptions never share the last remaining one. */
  private async incrementRedemptions(code: string, manager: EntityManager) {
    const { raw } = await manager
      .createQueryBuilder()
      .update(Voucher)
      .set({ redemptions: () => 'redemptions + 1' })
      .where(`code = :code AND ${REDEEMABLE}`, { code })
      .returning('redemptions, max_redemptions - redemptions AS remaining, updated_at AS "redeemedAt"')
      .execute();
    const [row] = raw as Pick<RedemptionDto, 'redemptions' | 'remaining' | 'redeemedAt'>[];
    if (!row) throw await this.whyNotRedeemable(code, manager);
    return row;
  }

  private async whyNotRedeemable(code: string, manager: EntityManager): Promise<Problem> {
    const voucher = await manager.findOneBy(Voucher, { code });
    if (!voucher) return new Problem(voucherNotFound);
    if (!voucher.active) return new Problem(voucherInactive);
    const exhausted = voucher.redemptions >= voucher.maxRedemptions;
    return new Problem(exhausted ? voucherExhausted : voucherExpired);
  }
}
