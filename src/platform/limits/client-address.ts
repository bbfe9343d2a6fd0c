import { isIP } from 'node:net';
import type { Request } from 'express';

/**
 * The client address that limits go by. A host owns a whole /64 of IPv6, so that network counts as one address. A proxy
 * may add a port (Azure does); a value that is no address at all counts as the address of the connection.
 */
export function clientAddress({ ip = '', socket }: Request): string {
  const address = ip.replace(/^\[(.*)\](?::\d+)?$|^([\d.]+):\d+$/, '$1$2').replace(/^::ffff:(?=[\d.]+$)/i, '');
  switch (isIP(address)) {
    case 4:
      return address;
    case 6:
      return ipv6Network(address);
    default:
      return socket.remoteAddress ?? 'unknown';
  }
}

/** The first four of the eight groups of an IPv6 address. */
function ipv6Network(address: string): string {
  const [head = '', tail] = address.toLowerCase().split('::');
  const before = head.split(':').filter(Boolean);
  const after = tail?.split(':').filter(Boolean) ?? [];
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length - (address.includes('.') ? 1 : 0);
  const groups = [...before, ...Array<string>(zeros).fill('0'), ...after];
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':');
}
