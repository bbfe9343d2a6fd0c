import { Controller, Get, Post } from '@nestjs/common';
import { RequireScopes } from '../../src/platform/auth/auth.decorators.js';

/** Routes that need scopes, whatever the service itself has. */
@Controller({ path: 'notes', version: '1' })
export class NotesController {
  @Get()
  @RequireScopes('notes:read')
  list(): string[] {
    return [];
  }

  @Post()
  @RequireScopes('notes:write')
  create(): void {}
}
