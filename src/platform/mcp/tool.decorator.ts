import type { Type } from '@nestjs/common';
import { declaredScopes } from '../auth/auth.decorators.js';
import type { IfMatch } from '../http/if-match.decorator.js';
import type { IdempotentRequest } from '../idempotency/idempotent-request.decorator.js';

interface ToolOptions {
  /** Unique; begins with the resource: `orders_list`. 1 to 64 of A-Z, a-z, 0-9, _ and -. */
  name: string;
  title: string;
  /** Describes what the tool does and when to use it, for the model that chooses a tool. */
  description: string;
  /** The scopes that a caller needs, all of them; without scopes, any authenticated caller may call the tool. */
  scopes: string[];
  /** The DTO of the result. */
  result: Type;
  /** By default a client assumes that a tool changes or deletes data, and asks its user. */
  annotations?: {
    readOnlyHint?: boolean;
    destructiveHint?: boolean;
    /** A repeated call has no further effect. */
    idempotentHint?: boolean;
  };
}

/** The second argument of a tool. */
export interface ToolCall {
  /** The condition of {@link IfMatchArgument}. */
  ifMatch: IfMatch;
  /** For IdempotencyService.run(): see {@link IdempotencyKeyArgument}. */
  idempotentRequest: IdempotentRequest;
}

/** A tool of this build. */
export interface ToolDefinition extends ToolOptions {
  /** The provider with the method. */
  provider: Type;
  method: string;
  /** The DTO of the arguments: the type of the first parameter. */
  input: Type;
}

/** The arguments of a tool without a parameter. */
class NoArguments {}

/** Every tool of this build by name. */
export const toolCatalog = new Map<string, ToolDefinition>();

/**
 * Offers a method of a provider to MCP clients. Its first parameter is a DTO, which the request pipe validates, and its second
 * a {@link ToolCall}. It may omit both.
 *
 * @throws {Error} for an invalid or duplicate name
 */
export function Tool(options: ToolOptions): MethodDecorator {
  return (target, key) => {
    const { name, scopes } = options;
    if (!/^[\w-]{1,64}$/.test(name)) throw new Error(`Invalid tool name: ${name}`);
    if (toolCatalog.has(name)) throw new Error(`Duplicate tool name: ${name}`);
    const [input = NoArguments] = Reflect.getMetadata('design:paramtypes', target, key) as [Type?];
    if (input === Object) throw new Error(`The first parameter of ${String(key)} must be a DTO`);
    for (const scope of scopes) declaredScopes.add(scope);
    toolCatalog.set(name, { ...options, provider: target.constructor as Type, method: String(key), input });
  };
}
