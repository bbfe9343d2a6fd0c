import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query, UseInterceptors } from '@nestjs/common';
import { ApiCreatedResponse, ApiOkResponse } from '@nestjs/swagger';
import { CurrentPrincipal, RequireScopes } from '../../../src/platform/auth/auth.decorators.js';
import type { Principal } from '../../../src/platform/auth/principal.js';
import { ApiIfMatch, ApiIfNoneMatch, etagHeader } from '../../../src/platform/http/api-etag.js';
import { ETagInterceptor } from '../../../src/platform/http/etag.interceptor.js';
import { IfMatch } from '../../../src/platform/http/if-match.decorator.js';
import { OptionalBody } from '../../../src/platform/http/optional-body.decorator.js';
import { IdempotencyService } from '../../../src/platform/idempotency/idempotency.service.js';
import { ApiIdempotent, IdempotentRequest } from '../../../src/platform/idempotency/idempotent-request.decorator.js';
import { ApiProblems } from '../../../src/platform/openapi/api-problems.decorator.js';
import * as dto from './test-note.dto.js';
import { testNoteDone, testNoteNotFound, testNoteTitleTaken } from './test-note.problems.js';
import { TestNotesService } from './test-notes.service.js';

@Controller({ path: 'test-notes', version: '1' })
@UseInterceptors(ETagInterceptor)
export class TestNotesController {
  constructor(
    private readonly notes: TestNotesService,
    private readonly idempotency: IdempotencyService,
  ) {}

  @Post()
  @RequireScopes('test-notes:write')
  @ApiCreatedResponse({ type: dto.TestNoteDto, headers: etagHeader })
  @ApiProblems(testNoteTitleTaken)
  async create(@Body() body: dto.CreateTestNoteDto, @CurrentPrincipal() { id }: Principal): Promise<dto.TestNoteDto> {
    return dto.TestNoteDto.from(await this.notes.create(body, id));
  }

  @Get()
  @RequireScopes('test-notes:read')
  async list(@Query() query: dto.ListTestNotesDto) {
    const { items, nextCursor } = await this.notes.list(query);
    return { items: items.map(dto.TestNoteDto.from), nextCursor };
  }

  @Get(':id')
  @RequireScopes('test-notes:read')
  @ApiIfNoneMatch()
  @ApiOkResponse({ type: dto.TestNoteDto, headers: etagHeader })
  @ApiProblems(testNoteNotFound)
  async get(@Param() { id }: dto.TestNoteIdDto): Promise<dto.TestNoteDto> {
    return dto.TestNoteDto.from(await this.notes.get(id));
  }

  @Patch(':id')
  @RequireScopes('test-notes:write')
  @ApiIfMatch()
  @ApiOkResponse({ type: dto.TestNoteDto, headers: etagHeader })
  @ApiProblems(testNoteNotFound, testNoteTitleTaken)
  async update(
    @Param() { id }: dto.TestNoteIdDto,
    @Body() changes: dto.UpdateTestNoteDto,
    @IfMatch() ifMatch: IfMatch,
  ): Promise<dto.TestNoteDto> {
    return dto.TestNoteDto.from(await this.notes.update(id, changes, ifMatch));
  }

  @Delete(':id')
  @RequireScopes('test-notes:write')
  @HttpCode(204)
  @ApiIfMatch()
  @ApiProblems(testNoteNotFound)
  remove(@Param() { id }: dto.TestNoteIdDto, @IfMatch() ifMatch: IfMatch): Promise<void> {
    return this.notes.remove(id, ifMatch);
  }

  @Post(':id/shares')
  @RequireScopes('test-notes:share')
  @ApiIdempotent()
  @OptionalBody(dto.ShareTestNoteDto)
  @ApiProblems(testNoteNotFound, testNoteDone)
  share(
    @Param() { id }: dto.TestNoteIdDto,
    @Body() { recipient }: dto.ShareTestNoteDto,
    @IdempotentRequest() request: IdempotentRequest | undefined,
  ): Promise<{ shares: number; recipient: string | null }> {
    return this.idempotency.run(request, async (manager) => {
      const { shares } = await this.notes.share(id, manager);
      return { shares, recipient: recipient ?? null };
    });
  }
}
