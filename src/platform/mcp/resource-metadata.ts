import { type ArgumentsHost, Catch } from '@nestjs/common';
import type { Request } from 'express';
import { declaredScopes } from '../auth/auth.decorators.js';
import { Env } from '../config/env.js';
import { Problem } from '../problems/problem.js';
import { ProblemFilter } from '../problems/problem.filter.js';

/** The metadata of the OAuth resource at /mcp: https://www.rfc-editor.org/rfc/rfc9728#section-3.1 */
export const METADATA_PATH = '/.well-known/oauth-protected-resource/mcp';

/** Returns the public URL of the MCP endpoint: MCP_RESOURCE_URL, or that of the request. */
const resourceUrl = ({ MCP_RESOURCE_URL }: Env, { protocol, host }: Request) =>
  MCP_RESOURCE_URL ?? `${protocol}://${host}/mcp`;

/** Names the issuers of tokens for the endpoint: https://www.rfc-editor.org/rfc/rfc9728#section-2 */
export const resourceMetadata = (env: Env, request: Request) => ({
  resource: resourceUrl(env, request),
  authorization_servers: env.OIDC_ISSUERS,
  scopes_supported: [...declaredScopes].toSorted(),
  bearer_methods_supported: ['header'],
});

/** Adds the address of the metadata to challenges: https://www.rfc-editor.org/rfc/rfc9728#section-5.1 */
@Catch(Problem)
export class ResourceMetadataFilter extends ProblemFilter {
  constructor(private readonly env: Env) {
    super();
  }

  override catch(error: Problem, host: ArgumentsHost): unknown {
    const challenge = error.headers['WWW-Authenticate'];
    if (!challenge) return super.catch(error, host);
    const url = new URL(METADATA_PATH, resourceUrl(this.env, host.switchToHttp().getRequest<Request>()));
    const headers = { ...error.headers, 'WWW-Authenticate': `${challenge}, resource_metadata="${url.href}"` };
    return super.catch(new Problem(error.details, { ...error.details, headers, cause: error.cause }), host);
  }
}
