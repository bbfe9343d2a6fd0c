import type { NestExpressApplication } from '@nestjs/platform-express';
import { DocumentBuilder, getSchemaPath, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { packageInfo } from '../config/package-info.js';
import { ProblemDto } from '../problems/problem.dto.js';
import { operationsOf } from './operations.js';
import { addProblemResponses } from './problem-responses.js';

/** Creates the OpenAPI document of the application. Needs no database. */
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
  // Routes are documented as public by default; RequireScopes adds its security.
  const document = SwaggerModule.createDocument(app, { ...config, security: [] }, { extraModels: [ProblemDto] });
  forbidUnknownProperties(document);
  addProblemResponses(document);
  return document;
}

/** RequestValidationPipe rejects properties that the DTO of a body does not declare. */
function forbidUnknownProperties(document: OpenAPIObject): void {
  for (const { operation } of operationsOf(document)) {
    const body = operation.requestBody;
    const schema = body && 'content' in body ? body.content['application/json']?.schema : undefined;
    if (!schema || !('$ref' in schema)) continue;
    const name = schema.$ref.slice(getSchemaPath('').length);
    Object.assign(document.components?.schemas?.[name] ?? {}, { additionalProperties: false });
  }
}
