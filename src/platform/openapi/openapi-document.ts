import type { NestExpressApplication } from '@nestjs/platform-express';
import { DocumentBuilder, getSchemaPath, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { packageInfo } from '../config/package-info.js';
import { ProblemDto } from '../problems/problem.dto.js';
import { operationsOf } from './operations.js';
import { addProblemResponses } from './problem-responses.js';

/** Describes every route of the application; needs no database. */
export function createOpenApiDocument(app: NestExpressApplication): OpenAPIObject {
  const { displayName, description, version } = packageInfo;
  const config = new DocumentBuilder()
    .setOpenAPIVersion('3.0.3')
    .setTitle(displayName)
    .setDescription(description)
    .setVersion(version)
    .setLicense('MIT', 'https://opensource.org/license/mit')
    .addServer('/')
    .addApiKey({ type: 'apiKey', in: 'header', name: 'x-api-key' }, 'apiKey')
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'An OIDC token, or an API key' }, 'bearer')
    .build();
  // A route is open unless it has RequireScopes: AuthGuard closes what says nothing.
  const document = SwaggerModule.createDocument(app, { ...config, security: [] }, { extraModels: [ProblemDto] });
  refuseUnknownProperties(document);
  addProblemResponses(document);
  return document;
}

/** A body is refused when it has properties that its DTO does not name: the ValidationPipe is set so. */
function refuseUnknownProperties(document: OpenAPIObject): void {
  for (const { operation } of operationsOf(document)) {
    const body = operation.requestBody;
    const schema = body && 'content' in body ? body.content['application/json']?.schema : undefined;
    if (!schema || !('$ref' in schema)) continue;
    const name = schema.$ref.slice(getSchemaPath('').length);
    Object.assign(document.components?.schemas?.[name] ?? {}, { additionalProperties: false });
  }
}
