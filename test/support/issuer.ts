// Imports no other TypeScript file, so that test/browser can run it with Node without a build.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';
import { Provider } from 'oidc-provider';

export const AUDIENCE = 'https://api.example.com';
export const ALL_SCOPES = 'test-notes:read test-notes:write test-notes:share';

/** An OpenID provider that runs in this process. */
export interface Issuer {
  url: string;
  /** The number of requests per path. */
  requests: Map<string, number>;
  /** Returns an access token, by the client credentials grant. */
  accessToken(scope: string): Promise<string>;
  /** Signs any claims with the provider's key. */
  sign(claims: JWTPayload, header?: Record<string, unknown>): Promise<string>;
  privateKey: JWK;
  /** Replaces the key. */
  rotate(): Promise<void>;
  /** `down` returns 500 for every request, `hanging` never responds. */
  state: 'up' | 'down' | 'hanging';
  /** Replaces the response of /jwks, if set. */
  keySet?: unknown;
  stop(): void;
}

/** The time that tests may have changed with advanceClock(). */
const seconds = () => Math.floor(Date.now() / 1000);

/** @param redirectUri the redirect URI of the public client `docs`, which signs users in with PKCE */
export async function startIssuer({ redirectUri = 'http://127.0.0.1/none' } = {}): Promise<Issuer> {
  let handle: ReturnType<Provider['callback']>;
  const requests = new Map<string, number>();
  const server = createServer((request, response) => {
    const [path = ''] = request.url?.split('?') ?? [];
    requests.set(path, (requests.get(path) ?? 0) + 1);
    if (issuer.state === 'hanging') return;
    if (issuer.state === 'down') response.writeHead(500).end();
    else if (issuer.keySet && path === '/jwks') response.end(JSON.stringify(issuer.keySet));
    else void handle(request, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const issuer: Issuer = {
    url,
    requests,
    privateKey: {},
    state: 'up',
    async accessToken(scope) {
      const response = await fetch(`${url}/token`, {
        method: 'POST',
        body: new URLSearchParams({ grant_type: 'client_credentials', scope }),
        headers: { Authorization: `Basic ${btoa('machine:secret')}` },
      });
      const { access_token: token } = (await response.json()) as { access_token: string };
      return token;
    },
    sign: (claims, header) =>
      new SignJWT({ iss: url, aud: AUDIENCE, sub: 'someone', ...claims })
        .setProtectedHeader({ alg: 'RS256', kid: issuer.privateKey.kid, ...header })
        .setIssuedAt(seconds())
        .setExpirationTime(claims.exp ?? seconds() + 300)
        .sign(issuer.privateKey),
    async rotate() {
      const { privateKey } = await generateKeyPair('RS256', { extractable: true });
      issuer.privateKey = { ...(await exportJWK(privateKey)), kid: `key-${Date.now()}`, alg: 'RS256', use: 'sig' };
      handle = createProvider(url, issuer.privateKey, redirectUri).callback();
    },
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
  await issuer.rotate();
  return issuer;
}

function createProvider(url: string, key: JWK, redirectUri: string): Provider {
  const client = { client_id: 'machine', client_secret: 'secret', redirect_uris: [], response_types: [] };
  // The provider warns that its in-memory adapter and its interactions are not for production.
  const { warn } = console;
  console.warn = () => undefined;
  const provider = new Provider(url, {
    jwks: { keys: [key] },
    cookies: { keys: ['for the tests only'] },
    clients: [
      { ...client, grant_types: ['client_credentials'] },
      {
        client_id: 'docs',
        application_type: 'native', // may redirect to http on this machine
        token_endpoint_auth_method: 'none',
        redirect_uris: [redirectUri],
      },
    ],
    scopes: ['openid', ...ALL_SCOPES.split(' ')],
    ttl: { AccessToken: 300, ClientCredentials: 300, Grant: 300, IdToken: 300, Interaction: 300, Session: 300 },
    clientBasedCORS: () => true,
    // Accepts any user name and password.
    findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: true },
      // Access tokens for this service are JWTs: https://www.rfc-editor.org/rfc/rfc9068
      resourceIndicators: {
        enabled: true,
        defaultResource: () => AUDIENCE,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: ALL_SCOPES,
          audience: AUDIENCE,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  });
  console.warn = warn;
  return provider;
}
