import { ApiProperty, ApiPropertyOptional, PartialType } from '@nestjs/swagger';
import { IsBoolean, IsIn, IsInt, IsOptional, IsString, Matches, Max, Min } from 'class-validator';
import { PageQueryDto } from '../platform/http/page-query.dto.js';
import {
  IsDateTime,
  IsJsonObject,
  Length,
  MaxLength,
  OptionalNotNull,
  ParseBoolean,
  UpperCase,
} from '../platform/http/validators.js';

export class CreateVoucherDto {
  /**
   * Unique; stored in upper case
   * @example 'SUMMER-2030'
   */
  @UpperCase()
  @IsString()
  @Length(4, 32)
  @Matches(/^[A-Za-z0-9-]+$/, { message: 'must contain only A-Z, 0-9 and -' })
  code!: string;

  /** @example 'Ten percent off in summer' */
  @IsOptional()
  @IsString()
  @MaxLength(500)
  description?: string | null;

  /**
   * Any JSON object of at most 4096 bytes and 5 levels
   * @example { "campaign": "summer" }
   */
  @OptionalNotNull()
  @IsJsonObject({ maxBytes: 4096, maxDepth: 5 })
  metadata?: Record<string, unknown>;

  @ApiProperty({ type: 'integer', example: 100 })
  @IsInt()
  @Min(1)
  @Max(1_000_000)
  maxRedemptions!: number;

  /**
   * With a zone, in the years 2000 to 9999; null for never
   * @example '2030-08-31T22:00:00Z'
   */
  @IsOptional()
  @IsDateTime()
  expiresAt?: Date | null;

  /** True by default */
  @OptionalNotNull()
  @IsBoolean()
  active?: boolean;
}

export class UpdateVoucherDto extends PartialType(CreateVoucherDto, { skipNullProperties: false }) {}

const VOUCHER_SORTS = ['createdAt', 'code', 'expiresAt', 'redemptions'] as const;
export type VoucherSort = (typeof VOUCHER_SORTS)[number];
const SORTS = VOUCHER_SORTS.flatMap((sort) => [sort, `-${sort}`] as const);

export class ListVouchersDto extends PageQueryDto {
  /** `-` sorts in descending order; a voucher without `expiresAt` sorts after every date */
  @ApiPropertyOptional({ enum: SORTS })
  @IsIn(SORTS)
  sort: (typeof SORTS)[number] = '-createdAt';

  /** Searches code and description, ignoring case. One or two characters match the beginning of the code */
  @IsOptional()
  @IsString()
  @Length(1, 100)
  q?: string;

  @IsOptional()
  @ParseBoolean()
  @IsBoolean()
  active?: boolean;

  /** Active, not expired and not exhausted */
  @IsOptional()
  @ParseBoolean()
  @IsBoolean()
  redeemable?: boolean;
}

export class VoucherCodeDto {
  /** @example 'SUMMER-2030' */
  @UpperCase()
  @Length(4, 32)
  @Matches(/^[A-Za-z0-9-]+$/, { message: 'must contain only A-Z, 0-9 and -' })
  code!: string;
}

export class RedeemVoucherDto {
  /**
   * The caller's own reference
   * @example 'order-4711'
   */
  @OptionalNotNull()
  @IsString()
  @MaxLength(64)
  reference?: string;
}

export class VoucherDto {
  /** @format uuid */
  id!: string;
  /** @example 'SUMMER-2030' */
  code!: string;
  description!: string | null;
  metadata!: Record<string, unknown>;
  /** @example 100 */
  maxRedemptions!: number;
  /** @example 0 */
  redemptions!: number;
  expiresAt!: Date | null;
  active!: boolean;
  /**
   * Incremented by every change; the ETag
   * @example 1
   */
  version!: number;
  createdAt!: Date;
  updatedAt!: Date;
}

export class VoucherPageDto {
  items!: VoucherDto[];
  /** The `cursor` of the next page; null on the last page */
  nextCursor!: string | null;
}

export class VoucherStatsDto {
  total!: number;
  active!: number;
  redeemable!: number;
  /** Of all vouchers */
  redemptions!: number;
}

export class RedemptionDto {
  /** @example 'SUMMER-2030' */
  code!: string;
  /** @example 1 */
  redemptions!: number;
  /** @example 99 */
  remaining!: number;
  /** @example 'order-4711' */
  reference!: string | null;
  redeemedAt!: Date;
}
