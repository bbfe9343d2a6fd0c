import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query, UseInterceptors } from '@nestjs/common';
import { CurrentPrincipal, RequireScopes } from '../../../src/platform/auth/auth.decorators.js';
import type { Principal } from '../../../src/platform/auth/principal.js';
import { ApiCreated, ApiIfNoneMatch, ApiOk } from '../../../src/platform/http/api-responses.js';
import { ETagInterceptor } from '../../../src/platform/http/etag.interceptor.js';
import { IdDto } from '../../../src/platform/http/id.dto.js';
import { IfMatch } from '../../../src/platform/http/if-match.decorator.js';
import { OptionalBody } from '../../../src/platform/http/optional-body.decorator.js';
import { toDto, toPageDto } from '../../../src/platform/http/to-dto.js';
import { IdempotentRequest } from '../../../src/platform/idempotency/idempotent-request.decorator.js';
import { ApiProblems } from '../../../src/platform/problems/api-problems.decorator.js';
import * as dto from './test-note.dto.js';
import { testNoteDone, testNoteNotFound, testNoteTitleTaken } from './test-note.problems.js';
import { TestNotesService } from './test-notes.service.js';

@Controller({ path: 'test-notes', version: '1' })
@UseInterceptors(ETagInterceptor)
export class TestNotesController {
  constructor(private readonly notes: TestNotesService) {}

  @Post()
  @RequireScopes('test-notes:write')
  @ApiCreated(dto.TestNoteDto)
  @ApiProblems(testNoteTitleTaken)
  async create(@Body() body: dto.CreateTestNoteDto, @CurrentPrincipal() { id }: Principal): Promise<dto.TestNoteDto> {
    return toDto(dto.TestNoteDto, await this.notes.create(body, id));
  }

  @Get()
  @RequireScopes('test-notes:read')
  async list(@Query() query: dto.ListTestNotesDto) {
    return toPageDto(dto.TestNoteDto, await this.notes.list(query));
  }

  @Get(':id')
  @RequireScopes('test-notes:read')
  @ApiIfNoneMatch()
  @ApiOk(dto.TestNoteDto)
  @ApiProblems(testNoteNotFound)
  async get(@Param() { id }: IdDto): Promise<dto.TestNoteDto> {
    return toDto(dto.TestNoteDto, await this.notes.get(id));
  }

  @Patch(':id')
  @RequireScopes('test-notes:write')
  @ApiOk(dto.TestNoteDto)
  @ApiProblems(testNoteNotFound, testNoteTitleTaken)
  async update(
    @Param() { id }: IdDto,
    @Body() changes: dto.UpdateTestNoteDto,
    @IfMatch() ifMatch: IfMatch,
  ): Promise<dto.TestNoteDto> {
    return toDto(dto.TestNoteDto, await this.notes.update(id, changes, ifMatch));
  }

  @Delete(':id')
  @RequireScopes('test-notes:write')
  @HttpCode(204)
  @ApiProblems(testNoteNotFound)
  remove(@Param() { id }: IdDto, @IfMatch() ifMatch: IfMatch): Promise<void> {
    return this.notes.remove(id, ifMatch);
  }

  @Post(':id/shares')
  @RequireScopes('test-notes:share')
  @OptionalBody(dto.ShareTestNoteDto)
  @ApiProblems(testNoteNotFound, testNoteDone)
  share(
    @Param() { id }: IdDto,
    @Body() body: dto.ShareTestNoteDto,
    @IdempotentRequest() request: IdempotentRequest,
  ): Promise<{ shares: number; recipient: string | null }> {
    return this.notes.share(id, body, request);
  }
}
