import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { type EntityManager, Repository } from 'typeorm';
import { withRetryableTransaction } from '../platform/database/retryable-transaction.js';
import { Problem } from '../platform/problems/problem.js';
import { preconditionFailed } from '../platform/problems/problem-types.js';
import type { IfMatch } from '../platform/http/if-match.decorator.js';
import { paginate, type Page, type SortKey } from '../platform/http/paginate.js';
import type {
  CreateVoucherDto,
  ListVouchersDto,
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
  constructor(@InjectRepository(Voucher) private readonly vouchers: Repository<Voucher>) {}

  create(dto: CreateVoucherDto): Promise<Voucher> {
    return this.vouchers.save(this.vouchers.create(dto), { transaction: false }); // one statement needs none
  }

  list({ q, active, redeemable, ...page }: ListVouchersDto): Promise<Page<Voucher>> {
    const query = this.vouchers.createQueryBuilder('voucher');
    if (q !== undefined) {
      query.andWhere('(strpos(lower(code), lower(:q)) > 0 OR strpos(lower(description), lower(:q)) > 0)', { q });
    }
    if (active !== undefined) query.andWhere('active = :active', { active });
    if (redeemable !== undefined) query.andWhere(`(${REDEEMABLE}) = :redeemable`, { redeemable });
    return paginate(query, { ...page, q, active, redeemable }, SORT_KEYS);
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
      const voucher = await this.lock(id, ifMatch, manager);
      manager.merge(Voucher, voucher, changes);
      return manager.save(voucher);
    });
  }

  remove(id: string, ifMatch: IfMatch): Promise<void> {
    return withRetryableTransaction(this.vouchers.manager, async (manager) => {
      await manager.remove(await this.lock(id, ifMatch, manager));
    });
  }

  /** One statement checks and counts, so that no two redemptions ever share the last one that is left. */
  async redeem(code: string, reference: string | null, manager: EntityManager): Promise<RedemptionDto> {
    const { raw } = await manager
      .createQueryBuilder()
      .update(Voucher)
      .set({ redemptions: () => 'redemptions + 1' })
      .where(`code = :code AND ${REDEEMABLE}`, { code })
      .returning('redemptions, max_redemptions - redemptions AS remaining, updated_at AS "redeemedAt"')
      .execute();
    const [row] = raw as Pick<RedemptionDto, 'redemptions' | 'remaining' | 'redeemedAt'>[];
    if (!row) throw await this.whyNotRedeemable(code, manager);
    return { code, reference, ...row };
  }

  /** What happens to the row until the transaction ends happens to the version that was checked. */
  private async lock(id: string, ifMatch: IfMatch, manager: EntityManager): Promise<Voucher> {
    const voucher = await manager.findOne(Voucher, { where: { id }, lock: { mode: 'pessimistic_write' } });
    if (!voucher) throw new Problem(voucherNotFound);
    if (ifMatch && !ifMatch.includes(voucher.version)) throw new Problem(preconditionFailed);
    return voucher;
  }

  private async whyNotRedeemable(code: string, manager: EntityManager): Promise<Problem> {
    const voucher = await manager.findOneBy(Voucher, { code });
    if (!voucher) return new Problem(voucherNotFound);
    if (!voucher.active) return new Problem(voucherInactive);
    const exhausted = voucher.redemptions >= voucher.maxRedemptions;
    return new Problem(exhausted ? voucherExhausted : voucherExpired);
  }
}
