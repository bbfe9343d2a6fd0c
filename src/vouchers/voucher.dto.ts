import { ApiProperty, ApiPropertyOptional, PartialType } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import {
  IsBoolean,
  IsIn,
  IsInt,
  IsOptional,
  IsString,
  IsUUID,
  Length,
  Matches,
  Max,
  MaxLength,
  Min,
} from 'class-validator';
import { PageQueryDto } from '../platform/http/page-query.dto.js';
import { IsDateTime } from '../platform/http/is-date-time.decorator.js';
import { IsJsonObject } from '../platform/http/is-json-object.decorator.js';
import { OptionalNotNull } from '../platform/http/may-be-absent.decorator.js';
import { ParseBoolean } from '../platform/http/query-values.js';
import type { Voucher } from './voucher.entity.js';

/** ASCII only: toUpperCase() would also turn ß into SS. */
const UpperCase = () =>
  Transform(({ value }) =>
    typeof value === 'string' ? value.replaceAll(/[a-z]+/g, (letters) => letters.toUpperCase()) : value,
  );

export class CreateVoucherDto {
  /**
   * Unique; letters are stored in upper case
   * @example 'SUMMER-2030'
   */
  @UpperCase()
  @IsString()
  @Length(4, 32)
  @Matches(/^[A-Za-z0-9-]+$/, { message: 'must be made of A-Z, 0-9 and -' })
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

  /** True unless said otherwise */
  @OptionalNotNull()
  @IsBoolean()
  active?: boolean;
}

export class UpdateVoucherDto extends PartialType(CreateVoucherDto, { skipNullProperties: false }) {}

const VOUCHER_SORTS = ['createdAt', 'code', 'expiresAt', 'redemptions'] as const;
export type VoucherSort = (typeof VOUCHER_SORTS)[number];
const SORTS = VOUCHER_SORTS.flatMap((sort) => [sort, `-${sort}`] as const);

export class ListVouchersDto extends PageQueryDto {
  /** `-` for descending; a voucher that never expires comes after every date */
  @ApiPropertyOptional({ enum: SORTS })
  @IsIn(SORTS)
  sort: (typeof SORTS)[number] = '-createdAt';

  /** Found in code or description, case ignored */
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

export class VoucherIdDto {
  @IsUUID()
  id!: string;
}

export class VoucherCodeDto {
  /** @example 'SUMMER-2030' */
  @UpperCase()
  @Length(4, 32)
  @Matches(/^[A-Za-z0-9-]+$/, { message: 'must be made of A-Z, 0-9 and -' })
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
   * Raised by every change; the ETag
   * @example 1
   */
  version!: number;
  createdAt!: Date;
  updatedAt!: Date;

  static from(voucher: Voucher): VoucherDto {
    const { id, code, description, metadata, maxRedemptions, redemptions } = voucher;
    const { expiresAt, active, version, createdAt, updatedAt } = voucher;
    return {
      id,
      code,
      description: description ?? null,
      metadata,
      maxRedemptions,
      redemptions,
      expiresAt: expiresAt ?? null,
      active,
      version,
      createdAt,
      updatedAt,
    };
  }
}

export class VoucherPageDto {
  items!: VoucherDto[];
  /** Hand it back as `cursor`; null on the last page */
  nextCursor!: string | null;
}

export class VoucherStatsDto {
  total!: number;
  active!: number;
  redeemable!: number;
  /** Of all vouchers together */
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
