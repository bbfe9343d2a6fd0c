import type { McpHttpHandler } from '@modelcontextprotocol/server';
import { Body, Controller, Get, Post, Req, UseFilters } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { ApiExcludeController } from '@nestjs/swagger';
import type { Request } from 'express';
import { Public, RequireScopes, TokenAudience } from '../auth/auth.decorators.js';
import { requireScopes } from '../auth/auth.guard.js';
import { Env } from '../config/env.js';
import { Problem } from '../problems/problem.js';
import { forbidden } from '../problems/problem-types.js';
import { createHandler } from './mcp-handler.js';
import { McpTools } from './mcp-tools.js';
import { METADATA_PATH, resourceMetadata, ResourceMetadataFilter } from './resource-metadata.js';
import { toolCatalog } from './tool.decorator.js';

const LOCAL_ORIGIN = /^https?:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;

/** The MCP endpoint: HTTP without sessions, so that any instance handles any message. */
@ApiExcludeController()
@Controller()
export class McpController {
  /** Set by serveMcp(). */
  app!: NestExpressApplication;
  private handler?: Promise<McpHttpHandler>;

  constructor(
    private readonly env: Env,
    private readonly tools: McpTools,
  ) {}

  /** Handles a JSON-RPC message. The parameter declares a body; each tool validates its own arguments. */
  @Post('mcp')
  @RequireScopes()
  @TokenAudience('MCP_RESOURCE_URL')
  @UseFilters(ResourceMetadataFilter)
  async post(@Body('jsonrpc') _version: string, @Req() request: Request): Promise<Response> {
    this.checkOrigin(request.headers.origin);
    const { body, principal } = request;
    const { method, params } = body as { method?: unknown; params?: { name?: string } };
    const tool = method === 'tools/call' ? toolCatalog.get(params?.name ?? '') : undefined;
    if (tool) requireScopes(principal!, tool.scopes);
    this.handler ??= createHandler(this.app, this.tools);
    const { fetch } = await this.handler;
    // The guard has verified the token.
    const authInfo = { token: '', clientId: principal!.id, scopes: [...principal!.scopes], extra: { request } };
    const response = await fetch(toWebRequest(request), { parsedBody: body as unknown, authInfo });
    // An older client gets a stream, which starts before the tool ends. The deadline and the concurrency limit end with the
    // handler, so it waits for the whole result.
    return new Response(response.body && (await response.text()), response);
  }

  @Get(METADATA_PATH)
  @Public()
  metadata(@Req() request: Request) {
    return resourceMetadata(this.env, request);
  }

  /**
   * Rejects the pages of other sites, which could reach the endpoint through the browser of a developer.
   * https://modelcontextprotocol.io/specification/2026-07-28/basic/transports#security-warning
   */
  private checkOrigin(origin: string | undefined): void {
    const { MCP_RESOURCE_URL, CORS_ORIGINS, NODE_ENV } = this.env;
    if (origin === undefined || CORS_ORIGINS.includes(origin)) return;
    if (origin === URL.parse(MCP_RESOURCE_URL ?? '')?.origin) return;
    if (NODE_ENV !== 'production' && LOCAL_ORIGIN.test(origin)) return;
    throw new Problem(forbidden, { detail: 'The Origin is not in CORS_ORIGINS' });
  }
}

/** Without the body, which the SDK gets as an object. */
function toWebRequest({ headers, url, res }: Request): globalThis.Request {
  const aborted = new AbortController();
  res!.once('close', () => res!.writableFinished || aborted.abort());
  const { signal } = aborted;
  return new Request(new URL(url, 'http://localhost'), { method: 'POST', headers: headers as HeadersInit, signal });
}
