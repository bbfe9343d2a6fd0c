import {
  Body,
  Controller,
  Delete,
  Get,
  HttpCode,
  Param,
  Patch,
  Post,
  Query,
  Res,
  UseInterceptors,
} from '@nestjs/common';
import { ApiCreatedResponse, ApiOkResponse } from '@nestjs/swagger';
import type { Response } from 'express';
import { RequireScopes } from '../platform/auth/auth.decorators.js';
import { ApiIfMatch, ApiIfNoneMatch, etagHeader } from '../platform/http/api-etag.js';
import { ETagInterceptor } from '../platform/http/etag.interceptor.js';
import { IfMatch } from '../platform/http/if-match.decorator.js';
import { IdempotencyService } from '../platform/idempotency/idempotency.service.js';
import { ApiIdempotent, IdempotentRequest } from '../platform/idempotency/idempotent-request.decorator.js';
import { ApiProblems } from '../platform/openapi/api-problems.decorator.js';
import { OptionalBody } from '../platform/http/optional-body.decorator.js';
import {
  CreateVoucherDto,
  ListVouchersDto,
  RedeemVoucherDto,
  RedemptionDto,
  UpdateVoucherDto,
  VoucherCodeDto,
  VoucherDto,
  VoucherIdDto,
  VoucherPageDto,
  VoucherStatsDto,
} from './voucher.dto.js';
import {
  voucherCodeTaken,
  voucherExhausted,
  voucherExpired,
  voucherInactive,
  voucherNotFound,
  voucherOverRedeemed,
} from './voucher.problems.js';
import { VouchersService } from './vouchers.service.js';

@Controller({ path: 'vouchers', version: '1' })
@UseInterceptors(ETagInterceptor)
export class VouchersController {
  constructor(
    private readonly vouchers: VouchersService,
    private readonly idempotency: IdempotencyService,
  ) {}

  /** Creates a voucher */
  @Post()
  @RequireScopes('vouchers:write')
  @ApiCreatedResponse({
    type: VoucherDto,
    headers: {
      ...etagHeader,
      Location: { required: true, schema: { type: 'string' }, description: 'The address of the voucher' },
    },
  })
  @ApiProblems(voucherCodeTaken)
  async create(@Body() dto: CreateVoucherDto, @Res({ passthrough: true }) response: Response): Promise<VoucherDto> {
    const voucher = await this.vouchers.create(dto);
    response.location(`/v1/vouchers/${voucher.id}`);
    return VoucherDto.from(voucher);
  }

  /** Lists vouchers, page by page */
  @Get()
  @RequireScopes('vouchers:read')
  async list(@Query() query: ListVouchersDto): Promise<VoucherPageDto> {
    const { items, nextCursor } = await this.vouchers.list(query);
    return { items: items.map(VoucherDto.from), nextCursor };
  }

  /** Counts all vouchers */
  @Get('stats')
  @RequireScopes('vouchers:read')
  stats(): Promise<VoucherStatsDto> {
    return this.vouchers.stats();
  }

  /** Returns a voucher */
  @Get(':id')
  @RequireScopes('vouchers:read')
  @ApiIfNoneMatch()
  @ApiOkResponse({ type: VoucherDto, headers: etagHeader })
  @ApiProblems(voucherNotFound)
  async get(@Param() { id }: VoucherIdDto): Promise<VoucherDto> {
    return VoucherDto.from(await this.vouchers.get(id));
  }

  /** Changes the fields that are given */
  @Patch(':id')
  @RequireScopes('vouchers:write')
  @ApiIfMatch()
  @ApiOkResponse({ type: VoucherDto, headers: etagHeader })
  @ApiProblems(voucherNotFound, voucherCodeTaken, voucherOverRedeemed)
  async update(
    @Param() { id }: VoucherIdDto,
    @Body() changes: UpdateVoucherDto,
    @IfMatch() ifMatch: IfMatch,
  ): Promise<VoucherDto> {
    return VoucherDto.from(await this.vouchers.update(id, changes, ifMatch));
  }

  /** Removes a voucher */
  @Delete(':id')
  @RequireScopes('vouchers:write')
  @HttpCode(204)
  @ApiIfMatch()
  @ApiProblems(voucherNotFound)
  remove(@Param() { id }: VoucherIdDto, @IfMatch() ifMatch: IfMatch): Promise<void> {
    return this.vouchers.remove(id, ifMatch);
  }

  /** Redeems a voucher once */
  @Post(':code/redemptions')
  @RequireScopes('vouchers:redeem')
  @ApiIdempotent()
  @OptionalBody(RedeemVoucherDto)
  @ApiProblems(voucherNotFound, voucherInactive, voucherExpired, voucherExhausted)
  redeem(
    @Param() { code }: VoucherCodeDto,
    @Body() { reference }: RedeemVoucherDto,
    @IdempotentRequest() request: IdempotentRequest | undefined,
  ): Promise<RedemptionDto> {
    return this.idempotency.run(request, (manager) => this.vouchers.redeem(code, reference ?? null, manager));
  }
}
