import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query, UseInterceptors } from '@nestjs/common';
import { RequireScopes } from '../platform/auth/auth.decorators.js';
import { ApiCreated, ApiIfNoneMatch, ApiOk } from '../platform/http/api-responses.js';
import { ETagInterceptor } from '../platform/http/etag.interceptor.js';
import { IdDto } from '../platform/http/id.dto.js';
import { IfMatch } from '../platform/http/if-match.decorator.js';
import { OptionalBody } from '../platform/http/optional-body.decorator.js';
import { toDto, toPageDto } from '../platform/http/to-dto.js';
import { IdempotentRequest } from '../platform/idempotency/idempotent-request.decorator.js';
import { ApiProblems } from '../platform/problems/api-problems.decorator.js';
import { queryTooBroad } from '../platform/problems/problem-types.js';
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
import * as problems from './voucher.problems.js';
import { VouchersService } from './vouchers.service.js';

@Controller({ path: 'vouchers', version: '1' })
@UseInterceptors(ETagInterceptor)
export class VouchersController {
  constructor(private readonly vouchers: VouchersService) {}

  /** Creates a voucher */
  @Post()
  @RequireScopes('vouchers:write')
  @ApiCreated(VoucherDto)
  @ApiProblems(problems.voucherCodeTaken)
  async create(@Body() dto: CreateVoucherDto): Promise<VoucherDto> {
    return toDto(VoucherDto, await this.vouchers.create(dto));
  }

  /** Lists vouchers in pages */
  @Get()
  @RequireScopes('vouchers:read')
  @ApiProblems(queryTooBroad)
  async list(@Query() query: ListVouchersDto): Promise<VoucherPageDto> {
    return toPageDto(VoucherDto, await this.vouchers.list(query));
  }

  /** Counts all vouchers; may lag behind by 60 seconds */
  @Get('stats')
  @RequireScopes('vouchers:read')
  stats(): Promise<VoucherStatsDto> {
    return this.vouchers.stats();
  }

  /** Returns a voucher */
  @Get(':id')
  @RequireScopes('vouchers:read')
  @ApiIfNoneMatch()
  @ApiOk(VoucherDto)
  @ApiProblems(problems.voucherNotFound)
  async get(@Param() { id }: IdDto): Promise<VoucherDto> {
    return toDto(VoucherDto, await this.vouchers.get(id));
  }

  /** Updates the given fields of a voucher */
  @Patch(':id')
  @RequireScopes('vouchers:write')
  @ApiOk(VoucherDto)
  @ApiProblems(problems.voucherNotFound, problems.voucherCodeTaken, problems.voucherOverRedeemed)
  async update(
    @Param() { id }: IdDto,
    @Body() changes: UpdateVoucherDto,
    @IfMatch() ifMatch: IfMatch,
  ): Promise<VoucherDto> {
    return toDto(VoucherDto, await this.vouchers.update(id, changes, ifMatch));
  }

  /** Deletes a voucher */
  @Delete(':id')
  @RequireScopes('vouchers:write')
  @HttpCode(204)
  @ApiProblems(problems.voucherNotFound)
  remove(@Param() { id }: IdDto, @IfMatch() ifMatch: IfMatch): Promise<void> {
    return this.vouchers.remove(id, ifMatch);
  }

  /** Redeems a voucher once */
  @Post(':code/redemptions')
  @RequireScopes('vouchers:redeem')
  @OptionalBody(RedeemVoucherDto)
  @ApiProblems(problems.voucherNotFound, problems.voucherInactive, problems.voucherExpired, problems.voucherExhausted)
  redeem(
    @Param() { code }: VoucherCodeDto,
    @Body() dto: RedeemVoucherDto,
    @IdempotentRequest() request: IdempotentRequest,
  ): Promise<RedemptionDto> {
    return this.vouchers.redeem(code, dto, request);
  }
}
