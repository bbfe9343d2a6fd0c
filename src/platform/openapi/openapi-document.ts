import type { NestExpressApplication } from '@nestjs/platform-express';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { packageInfo } from '../config/package-info.js';
import { ProblemDto } from '../problems/problem.dto.js';
import { closeRequestSchemas } from './close-request-schemas.js';
import { completeArguments } from './complete-arguments.js';
import { operationsOf } from './operations.js';
import { addProblemResponses } from './problem-responses.js';
import { REQUIRED_SCOPES } from '../auth/api-scopes.decorator.js';

/** The tag of the platform's own routes. */
export const SERVICE_TAG = 'Service';

const API_KEY_HELP =
  'An API key. In development, `npm start` prints a key and stores it in `.data/api-key`; otherwise run `npm run api-keys`.';

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
    .addApiKey({ type: 'apiKey', in: 'header', name: 'x-api-key', description: API_KEY_HELP }, 'apiKey')
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'An OIDC token, or an API key' }, 'bearer')
    .build();
  // Routes are documented as public by default; RequireScopes adds its security.
  const document = SwaggerModule.createDocument(app, { ...config, security: [] }, { extraModels: [ProblemDto] });
  completeArguments(document, app);
  closeRequestSchemas(document);
  addScopesToSummaries(document);
  listServiceLast(document);
  addProblemResponses(document);
  return document;
}

/** Appends the required scopes to the summary, which Swagger UI shows in the line of the route. */
function addScopesToSummaries(document: OpenAPIObject): void {
  for (const { operation } of operationsOf(document)) {
    const scopes = (Reflect.get(operation, REQUIRED_SCOPES) as string[] | undefined) ?? [];
    if (scopes.length > 0) operation.summary = `${operation.summary ?? ''} (${scopes.join(', ')})`.trim();
  }
}

/** Lists the routes of features first, and those of the platform last. */
function listServiceLast(document: OpenAPIObject): void {
  const isService = (path: string) => Boolean(document.paths[path]?.get?.tags?.includes(SERVICE_TAG));
  const paths = Object.keys(document.paths).toSorted((a, b) => Number(isService(a)) - Number(isService(b)));
  document.paths = Object.fromEntries(paths.map((path) => [path, document.paths[path]!]));
}
