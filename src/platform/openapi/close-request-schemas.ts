import { getSchemaPath, type OpenAPIObject } from '@nestjs/swagger';
import { operationsOf } from './operations.js';

type Schemas = Record<string, object>;

/**
 * Sets `additionalProperties: false` in every schema of a request body, nested ones included: RequestValidationPipe rejects
 * undeclared properties. Schemas of responses stay open, so that new properties do not break clients. A class of both gets
 * a second schema, such as AddressDtoInput.
 */
export function closeRequestSchemas(document: OpenAPIObject): void {
  const schemas: Schemas = document.components?.schemas ?? {};
  const operations = operationsOf(document).map(({ operation }) => operation);
  const inResponses = reachable(
    operations.map(({ responses }) => responses),
    schemas,
  );
  const closed = new Map<string, string>();
  const close = (name: string): string => {
    const known = closed.get(name);
    if (known) return known;
    const closedName = inResponses.has(name) ? `${name}Input` : name;
    closed.set(name, closedName);
    const copy = replaceRefs(schemas[name]!, close);
    schemas[closedName] = 'properties' in copy ? { ...copy, additionalProperties: false } : copy;
    return closedName;
  };
  for (const operation of operations) {
    if (operation.requestBody) operation.requestBody = replaceRefs(operation.requestBody, close);
  }
}

/** Returns the names of the schemas that a part of the document refers to, directly or not. */
function reachable(part: unknown, schemas: Schemas): Set<string> {
  const names = new Set<string>();
  const visit = (name: string): string => {
    if (!names.has(name)) {
      names.add(name);
      replaceRefs(schemas[name]!, visit);
    }
    return name;
  };
  replaceRefs(part, visit);
  return names;
}

/** Returns a copy in which each referenced schema has another name. */
function replaceRefs<Part>(part: Part, rename: (name: string) => string): Part {
  const prefix = getSchemaPath('');
  return JSON.parse(
    JSON.stringify(part, (key, value: unknown) =>
      key === '$ref' && typeof value === 'string' ? prefix + rename(value.slice(prefix.length)) : value,
    ),
  ) as Part;
}
