import { Module } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { Env } from '../config/env.js';
import { Problem } from '../problems/problem.js';
import { routeNotFound } from '../problems/problem-types.js';
import { McpController } from './mcp.controller.js';
import { McpTools } from './mcp-tools.js';
import { METADATA_PATH } from './resource-metadata.js';

@Module({ controllers: [McpController], providers: [McpTools] })
export class McpModule {}

/** Lets the MCP endpoint describe the application. Without MCP_ENABLED, its paths return 404. */
export function serveMcp(app: NestExpressApplication, { MCP_ENABLED }: Env): void {
  if (MCP_ENABLED) app.get(McpController).app = app;
  else app.use(['/mcp', METADATA_PATH], rejectRoute);
}

function rejectRoute(): never {
  throw new Problem(routeNotFound);
}
