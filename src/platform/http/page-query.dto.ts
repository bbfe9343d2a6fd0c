import { ApiPropertyOptional } from '@nestjs/swagger';
import { IsInt, IsOptional, IsString, Max, Min } from 'class-validator';
import { MaxLength, ParseInteger } from './validators.js';

/** The query parameters of every list. */
export class PageQueryDto {
  @ApiPropertyOptional({ type: 'integer' })
  @ParseInteger()
  @IsInt()
  @Min(1)
  @Max(100)
  limit = 20;

  /** The `nextCursor` of the previous page */
  @IsOptional()
  @IsString()
  @MaxLength(2000)
  cursor?: string;
}
