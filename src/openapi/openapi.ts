import type { NestExpressApplication } from '@nestjs/platform-express';
import { DocumentBuilder, getSchemaPath, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { packageInfo } from '../config/package-info.js';
import { ProblemDto } from '../errors/problem.dto.js';
import { addProblemResponses } from './problem-responses.js';

/** Describes every route of the application; needs no database. */
export function createOpenApiDocument(app: NestExpressApplication): OpenAPIObject {
  const { name, description, version } = packageInfo;
  const config = new DocumentBuilder()
    .setOpenAPIVersion('3.0.3')
    .setTitle(name)
    .setDescription(description)
    .setVersion(version)
    .setLicense('MIT', 'https://opensource.org/license/mit')
    .addServer('/')
    .build();
  const document = SwaggerModule.createDocument(app, { ...config, security: [] }, { extraModels: [ProblemDto] });
  refuseUnknownProperties(document);
  return addProblemResponses(document);
}

/** A body is refused when it has properties that its DTO does not name: the ValidationPipe is set so. */
function refuseUnknownProperties({ paths, components }: OpenAPIObject): void {
  for (const operation of Object.values(paths).flatMap(({ post, put, patch }) => [post, put, patch])) {
    const body = operation?.requestBody;
    const schema = body && 'content' in body ? body.content['application/json']?.schema : undefined;
    if (!schema || !('$ref' in schema)) continue;
    const name = schema.$ref.slice(getSchemaPath('').length);
    Object.assign(components?.schemas?.[name] ?? {}, { additionalProperties: false });
  }
}

/** Serves the document at /openapi.json and Swagger UI at /docs. */
export function serveDocs(app: NestExpressApplication): void {
  SwaggerModule.setup('docs', app, () => createOpenApiDocument(app), {
    jsonDocumentUrl: 'openapi.json',
    raw: ['json'],
    customSiteTitle: packageInfo.name,
  });
}
