import { ConflictException, Injectable, NotFoundException } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Repository } from 'typeorm';
import type { CreateVoucherDto, UpdateVoucherDto } from './voucher.dto.js';
import { Voucher } from './voucher.entity.js';

@Injectable()
export class VouchersService {
  constructor(
    @InjectRepository(Voucher)
    private readonly vouchersRepository: Repository<Voucher>,
  ) {}

  create(createVoucherDto: CreateVoucherDto) {
    return this.vouchersRepository.save(this.vouchersRepository.create(createVoucherDto));
  }

  async findAll(limit: number, active?: boolean) {
    const rows = await this.vouchersRepository.find({
      where: active === undefined ? {} : { active }, // TypeORM rejects undefined
      order: { createdAt: 'DESC', id: 'DESC' },
      take: limit + 1,
    });
    const items = rows.slice(0, limit);
    return { items, nextCursor: rows.length > limit ? items.at(-1)?.id : null };
  }

  async findOne(id: string) {
    const voucher = await this.vouchersRepository.findOneBy({ id });
    if (!voucher) throw new NotFoundException();
    return voucher;
  }

  async update(id: string, updateVoucherDto: UpdateVoucherDto) {
    const voucher = await this.findOne(id);
    return this.vouchersRepository.save({ ...voucher, ...updateVoucherDto });
  }

  async redeem(code: string, reference: string | null = null) {
    const { raw } = await this.vouchersRepository
      .createQueryBuilder()
      .update()
      .set({ redemptions: () => 'redemptions + 1' })
      .where('code = :code AND active AND (expires_at IS NULL OR expires_at > now())', { code })
      .andWhere('redemptions < max_redemptions')
      .returning('redemptions, max_redemptions - redemptions AS remaining, updated_at AS "redeemedAt"')
      .execute();
    if (raw.length === 0) throw new ConflictException();
    return { code, reference, ...raw[0] };
  }
}
