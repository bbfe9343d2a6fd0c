import { Injectable } from '@nestjs/common';
import { IntersectionType } from '@nestjs/swagger';
import { IdDto } from '../platform/http/id.dto.js';
import { toDto, toPageDto } from '../platform/http/to-dto.js';
import { IdempotencyKeyArgument, IfMatchArgument } from '../platform/mcp/tool-arguments.dto.js';
import { Tool, type ToolCall } from '../platform/mcp/tool.decorator.js';
import {
  CreateVoucherDto,
  ListVouchersDto,
  RedeemVoucherDto,
  RedemptionDto,
  UpdateVoucherDto,
  VoucherCodeDto,
  VoucherDto,
  VoucherPageDto,
  VoucherStatsDto,
} from './voucher.dto.js';
import { VouchersService } from './vouchers.service.js';

class UpdateVoucherArguments extends IntersectionType(IdDto, UpdateVoucherDto, IfMatchArgument) {}
class RedeemVoucherArguments extends IntersectionType(VoucherCodeDto, RedeemVoucherDto, IdempotencyKeyArgument) {}

@Injectable()
export class VouchersTools {
  constructor(private readonly vouchers: VouchersService) {}

  @Tool({
    name: 'vouchers_list',
    title: 'List vouchers',
    description: 'Lists or searches vouchers in pages. Pass nextCursor of the result as cursor to get the next page.',
    scopes: ['vouchers:read'],
    annotations: { readOnlyHint: true },
    result: VoucherPageDto,
  })
  async list(query: ListVouchersDto): Promise<VoucherPageDto> {
    return toPageDto(VoucherDto, await this.vouchers.list(query));
  }

  @Tool({
    name: 'vouchers_get',
    title: 'Get a voucher',
    description: 'Returns a voucher by its id. To find a voucher by its code, search with vouchers_list.',
    scopes: ['vouchers:read'],
    annotations: { readOnlyHint: true },
    result: VoucherDto,
  })
  async get({ id }: IdDto): Promise<VoucherDto> {
    return toDto(VoucherDto, await this.vouchers.get(id));
  }

  @Tool({
    name: 'vouchers_create',
    title: 'Create a voucher',
    description: 'Creates a voucher with a unique code.',
    scopes: ['vouchers:write'],
    annotations: { destructiveHint: false },
    result: VoucherDto,
  })
  async create(dto: CreateVoucherDto): Promise<VoucherDto> {
    return toDto(VoucherDto, await this.vouchers.create(dto));
  }

  @Tool({
    name: 'vouchers_update',
    title: 'Update a voucher',
    description: 'Updates the given fields of a voucher, and leaves the others unchanged.',
    scopes: ['vouchers:write'],
    annotations: { idempotentHint: true },
    result: VoucherDto,
  })
  async update({ id, ...changes }: UpdateVoucherArguments, { ifMatch }: ToolCall): Promise<VoucherDto> {
    return toDto(VoucherDto, await this.vouchers.update(id, changes, ifMatch));
  }

  @Tool({
    name: 'vouchers_redeem',
    title: 'Redeem a voucher',
    description:
      'Redeems a voucher once, by its code. Pass an idempotencyKey, so that a retry does not redeem it again.',
    scopes: ['vouchers:redeem'],
    result: RedemptionDto,
  })
  redeem({ code, ...dto }: RedeemVoucherArguments, { idempotentRequest }: ToolCall): Promise<RedemptionDto> {
    return this.vouchers.redeem(code, dto, idempotentRequest);
  }

  @Tool({
    name: 'vouchers_stats',
    title: 'Count vouchers',
    description: 'Counts all vouchers, and the active and redeemable ones, and sums their redemptions.',
    scopes: ['vouchers:read'],
    annotations: { readOnlyHint: true },
    result: VoucherStatsDto,
  })
  stats(): Promise<VoucherStatsDto> {
    return this.vouchers.stats();
  }
}
