import { PartialType } from '@nestjs/swagger';
import { IsBoolean, IsIn, IsOptional, IsString } from 'class-validator';
import { PageQueryDto } from '../../../src/platform/http/page-query.dto.js';
import { IsDateTime, Length, OptionalNotNull, ParseBoolean } from '../../../src/platform/http/validators.js';

export class CreateTestNoteDto {
  @IsString()
  @Length(1, 40)
  title!: string;

  @IsOptional()
  @IsDateTime()
  dueAt?: Date | null;

  @OptionalNotNull()
  @IsBoolean()
  done?: boolean;
}

export class UpdateTestNoteDto extends PartialType(CreateTestNoteDto, { skipNullProperties: false }) {}

const TEST_NOTE_SORTS = ['createdAt', 'title', 'dueAt', 'shares'] as const;
export type TestNoteSort = (typeof TEST_NOTE_SORTS)[number];
const SORTS = TEST_NOTE_SORTS.flatMap((sort) => [sort, `-${sort}`] as const);

export class ListTestNotesDto extends PageQueryDto {
  @IsIn(SORTS)
  sort: (typeof SORTS)[number] = '-createdAt';

  @IsOptional()
  @ParseBoolean()
  @IsBoolean()
  done?: boolean;
}

export class ShareTestNoteDto {
  @OptionalNotNull()
  @IsString()
  @Length(1, 40)
  recipient?: string;
}

export class TestNoteDto {
  id!: string;
  title!: string;
  dueAt!: Date | null;
  done!: boolean;
  shares!: number;
  version!: number;
  createdAt!: Date;
}
