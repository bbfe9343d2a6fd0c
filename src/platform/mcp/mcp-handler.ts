import type { McpHttpHandler } from '@modelcontextprotocol/server';
import { Logger } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { Request } from 'express';
import { packageInfo } from '../config/package-info.js';
import { createOpenApiDocument } from '../openapi/openapi-document.js';
import { problemCatalog } from '../problems/problem.js';
import type { McpTools } from './mcp-tools.js';
import { listTools } from './tool-schemas.js';
import { toolCatalog } from './tool.decorator.js';

const CACHE_HINT = { ttlMs: 60_000, cacheScope: 'private' as const };
const cacheHints = { 'server/discover': CACHE_HINT, 'tools/list': CACHE_HINT, 'resources/list': CACHE_HINT };

/** For input of users, which no tool requests. By default each server creates a validator. */
const jsonSchemaValidator = {
  getValidator: () => {
    throw new Error('A tool validates its arguments by its DTO');
  },
};

/** Loads the SDK and describes the application to it. Each message gets its own server, because a server has state. */
export async function createHandler(app: NestExpressApplication, tools: McpTools): Promise<McpHttpHandler> {
  const { createMcpHandler, McpServer, ProtocolError, ProtocolErrorCode } =
    await import('@modelcontextprotocol/server');
  const logger = new Logger('McpHandler');
  const { name, displayName: title, version } = packageInfo;
  const listed = { tools: listTools(app, tools.list()) };
  const problems = [...problemCatalog.values()].map(({ code, status, title: text }) => ({ code, status, title: text }));
  const documents = [
    { id: 'openapi', title: 'OpenAPI document', text: JSON.stringify(createOpenApiDocument(app)) },
    { id: 'problems', title: 'Problem types', text: JSON.stringify(problems) },
  ];

  function createServer() {
    const capabilities = { tools: { listChanged: false } };
    const mcp = new McpServer({ name, title, version }, { capabilities, cacheHints, jsonSchemaValidator });
    mcp.server.setRequestHandler('tools/list', () => listed);
    mcp.server.setRequestHandler('tools/call', ({ params }, { http }) => {
      const tool = toolCatalog.get(params.name);
      if (!tool) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Unknown tool: ${params.name}`);
      return tools.call(tool, params.arguments, http?.authInfo?.extra?.request as Request);
    });
    for (const { id, title: documentTitle, text } of documents) {
      const mimeType = 'application/json';
      mcp.registerResource(id, `service://${name}/${id}`, { title: documentTitle, mimeType }, ({ href: uri }) => ({
        contents: [{ uri, mimeType, text }],
      }));
    }
    return mcp;
  }

  return createMcpHandler(createServer, {
    maxSubscriptions: 0, // an open stream would occupy the instance
    onerror: ({ message }) => logger.debug(message),
  });
}
