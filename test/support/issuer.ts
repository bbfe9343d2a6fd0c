import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';
import { Provider } from 'oidc-provider';

export const AUDIENCE = 'https://api.example.com';
export const ALL_SCOPES = 'test-notes:read test-notes:write test-notes:share';

/** A real OpenID provider on this machine. */
export interface Issuer {
  url: string;
  /** How often each path has been asked for. */
  requests: Map<string, number>;
  /** An access token by the client credentials grant. */
  accessToken(scope: string): Promise<string>;
  /** Anything, signed with the provider's own key: what it would sign if it had such users and clients. */
  sign(claims: JWTPayload, header?: Record<string, unknown>): Promise<string>;
  /** The private key, to make forgeries from. */
  privateKey: JWK;
  /** Begins anew with another key. */
  rotate(): Promise<void>;
  /** Answers every request with 500, or not at all, until it is told to be well. */
  become(state: 'well' | 'down' | 'hanging'): void;
  /** What it gives for its keys in place of its own: nothing, to end that. */
  keySet?: unknown;
  stop(): void;
}

/** @param redirectUri of the public client `docs`, which signs people in with PKCE */
export async function startIssuer({ redirectUri = 'http://127.0.0.1/none' } = {}): Promise<Issuer> {
  let answer: ReturnType<Provider['callback']>;
  let state = 'well';
  const requests = new Map<string, number>();
  const server = createServer((request, response) => {
    const [path = ''] = request.url?.split('?') ?? [];
    requests.set(path, (requests.get(path) ?? 0) + 1);
    if (state === 'hanging') return;
    if (state === 'down') response.writeHead(500).end();
    else if (issuer.keySet && path === '/jwks') response.end(JSON.stringify(issuer.keySet));
    else void answer(request, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const issuer: Issuer = {
    url,
    requests,
    privateKey: {},
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
        .setIssuedAt()
        .setExpirationTime(claims.exp ?? '5m')
        .sign(issuer.privateKey),
    async rotate() {
      const { privateKey } = await generateKeyPair('RS256', { extractable: true });
      issuer.privateKey = { ...(await exportJWK(privateKey)), kid: `key-${Date.now()}`, alg: 'RS256', use: 'sig' };
      answer = createProvider(url, issuer.privateKey, redirectUri).callback();
    },
    become: (value) => {
      state = value;
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
  // It warns of what makes it fit for tests only.
  const { warn } = console;
  console.warn = () => undefined;
  const provider = new Provider(url, {
    jwks: { keys: [key] },
    cookies: { keys: ['for the tests only'] },
    clients: [
      {
        client_id: 'machine',
        client_secret: 'secret',
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
      },
      {
        client_id: 'docs',
        application_type: 'native', // may be redirected to http on this machine
        token_endpoint_auth_method: 'none',
        redirect_uris: [redirectUri],
      },
    ],
    scopes: ['openid', ...ALL_SCOPES.split(' ')],
    ttl: { AccessToken: 300, ClientCredentials: 300, Grant: 300, IdToken: 300, Interaction: 300, Session: 300 },
    clientBasedCORS: () => true,
    // Takes any name and password for a user.
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
