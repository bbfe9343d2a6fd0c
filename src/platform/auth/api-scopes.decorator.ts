import { applyDecorators } from '@nestjs/common';
import { ApiExtension, ApiSecurity } from '@nestjs/swagger';

/** The extension of an operation with its required scopes. */
export const REQUIRED_SCOPES = 'x-required-scopes';

/** Documents that a route requires a credential with these scopes. */
export const ApiScopes = (scopes: string[]) =>
  applyDecorators(ApiSecurity('apiKey'), ApiSecurity('bearer'), ApiExtension(REQUIRED_SCOPES, scopes));
