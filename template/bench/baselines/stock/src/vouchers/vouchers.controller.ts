import {
  Body,
  Controller,
  DefaultValuePipe,
  Get,
  Param,
  ParseBoolPipe,
  ParseIntPipe,
  ParseUUIDPipe,
  Patch,
  Post,
  Query,
} from '@nestjs/common';
import { CreateVoucherDto, RedeemVoucherDto, UpdateVoucherDto } from './voucher.dto.js';
import { VouchersService } from './vouchers.service.js';

@Controller('v1/vouchers')
export class VouchersController {
  constructor(private readonly vouchersService: VouchersService) {}

  @Post()
  create(@Body() createVoucherDto: CreateVoucherDto) {
    return this.vouchersService.create(createVoucherDto);
  }

  @Get()
  findAll(
    @Query('limit', new DefaultValuePipe(20), ParseIntPipe) limit: number,
    @Query('active', new ParseBoolPipe({ optional: true })) active?: boolean,
  ) {
    return this.vouchersService.findAll(limit, active);
  }

  @Get(':id')
  findOne(@Param('id', ParseUUIDPipe) id: string) {
    return this.vouchersService.findOne(id);
  }

  @Patch(':id')
  update(@Param('id', ParseUUIDPipe) id: string, @Body() updateVoucherDto: UpdateVoucherDto) {
    return this.vouchersService.update(id, updateVoucherDto);
  }

  @Post(':code/redemptions')
  redeem(@Param('code') code: string, @Body() redeemVoucherDto: RedeemVoucherDto) {
    return this.vouchersService.redeem(code, redeemVoucherDto?.reference);
  }
}
