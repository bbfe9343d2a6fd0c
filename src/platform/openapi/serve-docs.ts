import type { NestExpressApplication } from '@nestjs/platform-express';
import { SwaggerModule } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import helmet from 'helmet';
import type { Env } from '../config/env.js';
import { packageInfo } from '../config/package-info.js';
import { API_POLICY } from '../http/security-headers.middleware.js';
import { foldErrorResponses } from './fold-error-responses.js';
import { createOpenApiDocument } from './openapi-document.js';
import { addSignIn, type SignIn } from './sign-in.js';

/** Serves the OpenAPI document at /openapi.json and Swagger UI at /docs. */
export function serveDocs(app: NestExpressApplication, env: Env): void {
  const [issuer] = env.OIDC_ISSUERS;
  const clientId = env.OIDC_CLIENT_ID;
  const signIn = issuer && clientId ? { issuer, clientId } : undefined;
  const createDocument = () => {
    const document = createOpenApiDocument(app);
    if (signIn) addSignIn(document, signIn);
    return document;
  };
  app.use('/docs', docsHeaders(signIn));
  // Swagger UI resolves the OAuth redirect page relative to its own URL, which must therefore end with a slash.
  if (signIn) app.use(/^\/docs$/, (_request: Request, response: Response) => response.redirect('/docs/'));
  SwaggerModule.setup('docs', app, createDocument, {
    jsonDocumentUrl: 'openapi.json',
    raw: ['json'],
    customSiteTitle: packageInfo.displayName,
    customCss: '.topbar { display: none }',
    swaggerOptions: {
      plugins: [foldErrorResponses],
      defaultModelsExpandDepth: 0, // schemas are folded
      persistAuthorization: env.NODE_ENV !== 'production', // in local storage: credentials survive a reload
      initOAuth: signIn && { clientId: signIn.clientId, usePkceWithAuthorizationCodeGrant: true },
    },
  });
}

/** Allows Swagger UI its own files, inline styles, and requests to this service and to the issuer. */
function docsHeaders(signIn: SignIn | undefined) {
  const directives = {
    ...API_POLICY,
    scriptSrc: ["'self'"],
    styleSrc: ["'self'", "'unsafe-inline'"],
    imgSrc: ["'self'", 'data:'],
    connectSrc: ["'self'", ...(signIn ? ['https:', new URL(signIn.issuer).origin] : [])],
  };
  return helmet({
    contentSecurityPolicy: { useDefaults: false, directives },
    // The window that returns from the issuer reports to the window that opened it.
    crossOriginOpenerPolicy: { policy: signIn ? 'unsafe-none' : 'same-origin' },
  });
}
