import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** Opens a connection to an application and sends bytes as they are. */
export async function openRaw(url: string, bytes = ''): Promise<Socket> {
  const { port, hostname } = new URL(url);
  const socket = connect(Number(port), hostname).on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(bytes);
  return socket;
}

export interface RawResponse {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** Reads the responses of a connection until it closes. */
export async function readResponses(socket: Socket): Promise<RawResponse[]> {
  const responses: RawResponse[] = [];
  let rest = '';
  socket.setEncoding('utf8').on('data', (text: string) => (rest += text));
  await new Promise((resolve) => socket.once('close', resolve)); // also after an error
  while (rest) {
    const [head = '', ...parts] = rest.split('\r\n\r\n');
    const [start = '', ...lines] = head.split('\r\n');
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    );
    const content = parts.join('\r\n\r\n');
    const length = Number(headers['content-length'] ?? 0);
    responses.push({ status: Number(start.split(' ')[1]), headers, body: content.slice(0, length) });
    rest = content.slice(length);
  }
  return responses;
}

/** Sends bytes over a new connection, and reads the responses until the server closes it. */
export async function exchange(url: string, bytes: string): Promise<RawResponse[]> {
  return readResponses(await openRaw(url, bytes));
}
