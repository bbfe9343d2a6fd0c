import type { ModulesContainer } from '@nestjs/core';
import { StartupError } from '../lifecycle/startup-error.js';

/** Kinds of classes by the metadata of their decorator. */
const OTHERS: Record<string, string> = {
  'websockets:is_gateway': 'a WebSocket gateway',
  'graphql:resolver_type': 'a GraphQL resolver',
  'graphql:resolver_name': 'a GraphQL resolver',
};

/**
 * Nest applies no global guard to a WebSocket gateway, which would therefore run without authentication.
 * @throws {StartupError} that names a class for another protocol than HTTP, and the remedy
 */
export function assertOnlyHttp(modules: ModulesContainer): void {
  for (const { providers } of modules.values()) {
    for (const { metatype } of providers.values()) {
      const key = metatype && Object.keys(OTHERS).find((name) => Reflect.hasMetadata(name, metatype));
      if (!key) continue;
      throw new StartupError(
        `${metatype.name} is ${OTHERS[key]}, and authentication, limits and problems support only HTTP. Use a controller, ` +
          `with @Sse() for events: see "GraphQL, WebSocket and RPC" in docs/development.md`,
      );
    }
  }
}
