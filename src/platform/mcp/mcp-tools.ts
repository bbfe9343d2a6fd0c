import { hash } from 'node:crypto';
import type { CallToolResult } from '@modelcontextprotocol/server';
import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import type { Request } from 'express';
import { RequestValidationPipe } from '../http/request-validation.pipe.js';
import { reportProblem } from '../problems/problem.filter.js';
import type { IdempotencyKeyArgument, IfMatchArgument } from './tool-arguments.dto.js';
import { type ToolCall, toolCatalog, type ToolDefinition } from './tool.decorator.js';

/** Runs the tools of the application. */
@Injectable()
export class McpTools implements OnModuleInit {
  private readonly logger = new Logger(McpTools.name);
  private readonly pipe = new RequestValidationPipe();
  private readonly providers = new Map<ToolDefinition, Record<string, (dto: unknown, call: ToolCall) => unknown>>();

  constructor(private readonly moduleRef: ModuleRef) {}

  /** @throws {Error} if no module provides the class of a tool */
  onModuleInit(): void {
    for (const tool of toolCatalog.values()) {
      this.providers.set(tool, this.moduleRef.get(tool.provider, { strict: false }));
    }
  }

  list(): ToolDefinition[] {
    return [...this.providers.keys()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /**
   * Validates the arguments and runs a tool. A failure is a result too, so that a model can correct its call: it has the
   * fields of a problem. The message of an unknown error is only logged.
   */
  async call(tool: ToolDefinition, input: unknown, request: Request): Promise<CallToolResult> {
    try {
      const dto: unknown = await this.pipe.transform(input ?? {}, { type: 'body', metatype: tool.input });
      const call = callOf(tool, dto as IfMatchArgument & IdempotencyKeyArgument, request);
      const text = JSON.stringify(await this.providers.get(tool)![tool.method]!(dto, call));
      return { content: [{ type: 'text', text }], structuredContent: JSON.parse(text) as Record<string, unknown> };
    } catch (error) {
      const { title, code, detail, errors } = reportProblem(error, request.res!, this.logger).details;
      const text = JSON.stringify({ title, code, detail, errors, requestId: request.id });
      return { content: [{ type: 'text', text }], isError: true };
    }
  }
}

/** Moves the arguments of the platform from the DTO to the call. */
function callOf(
  { name }: ToolDefinition,
  dto: IfMatchArgument & IdempotencyKeyArgument,
  { principal, res }: Request,
): ToolCall {
  const { ifMatch, idempotencyKey: key } = dto;
  delete dto.ifMatch;
  delete dto.idempotencyKey;
  const fingerprint = () => hash('sha256', JSON.stringify([name, dto, ifMatch]), 'base64url');
  return {
    ifMatch: ifMatch === undefined ? undefined : (version) => version === ifMatch,
    idempotentRequest:
      key === undefined ? undefined : { principal: principal!.id, key, fingerprint: fingerprint(), response: res! },
  };
}
