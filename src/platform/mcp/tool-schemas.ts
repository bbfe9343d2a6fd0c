import type { Type } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { DocumentBuilder, getSchemaPath, SwaggerModule } from '@nestjs/swagger';
import type { ToolDefinition } from './tool.decorator.js';

type Schema = Record<string, unknown> & { type: 'object' };

/** Limits the document to `extraModels`. */
class NoModule {}

/** Describes tools with the schemas of the OpenAPI document. OpenAPI 3.1 uses the same JSON Schema as MCP, 2020-12. */
export function listTools(app: NestExpressApplication, tools: ToolDefinition[]) {
  const extraModels = tools.flatMap(({ input, result }) => [input, result]);
  const config = new DocumentBuilder().setOpenAPIVersion('3.1.0').build();
  const { components } = SwaggerModule.createDocument(app, config, { include: [NoModule], extraModels });
  const schemas = (components?.schemas ?? {}) as Record<string, Schema>;
  return tools.map(({ name, title, description, annotations, input, result }) => ({
    name,
    title,
    description,
    annotations,
    inputSchema: { ...schemaOf(input, schemas), additionalProperties: false }, // as RequestValidationPipe
    outputSchema: schemaOf(result, schemas),
  }));
}

/** Returns the schema of a DTO. The schemas that it refers to, directly or not, are in its `$defs`. */
function schemaOf({ name }: Type, schemas: Record<string, Schema>): Schema {
  const $defs: Record<string, Schema> = {};
  const addReferences = (schema: Schema) => {
    for (const [, reference = ''] of JSON.stringify(schema).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      if (reference in $defs) continue;
      $defs[reference] = schemas[reference]!;
      addReferences(schemas[reference]!);
    }
  };
  addReferences(schemas[name]!);
  const schema = JSON.stringify({ ...schemas[name], ...(Object.keys($defs).length > 0 && { $defs }) });
  return JSON.parse(schema.replaceAll(getSchemaPath(''), '#/$defs/')) as Schema;
}
