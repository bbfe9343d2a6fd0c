import { type CallToolResult, Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

/** A client of the official SDK. Each request goes to the next of the services, and carries the headers. */
export async function connectMcp(
  revision: '2026-07-28' | '2025-11-25',
  services: { url: string }[],
  headers: Record<string, string>,
): Promise<Client> {
  let calls = 0;
  const transport = new StreamableHTTPClientTransport(new URL('/mcp', services[0]!.url), {
    requestInit: { headers },
    fetch: (url, init) => {
      const { url: base } = services[calls++ % services.length]!;
      return fetch(new URL(new URL(url).pathname, base), init);
    },
  });
  const client = new Client(
    { name: 'test', version: '1.0.0' },
    { versionNegotiation: { mode: revision === '2026-07-28' ? { pin: revision } : 'legacy' } },
  );
  await client.connect(transport);
  return client;
}

/** The problem in the result of a failed tool. */
export function problemOf({ content }: CallToolResult): unknown {
  const [first] = content;
  return JSON.parse(first?.type === 'text' ? first.text : '');
}
