import { isIP } from 'node:net';
import type { Request } from 'express';

/**
 * The client address that limits go by: an IPv4 address, or the /64 network of an IPv6 address, because a host owns a whole
 * /64. A proxy may add a port (Azure does). A value that is no address counts as the address of the connection.
 */
export function clientAddress({ ip = '', socket }: Request): string {
  return normalize(ip) ?? normalize(socket.remoteAddress ?? '') ?? 'unknown';
}

function normalize(text: string): string | undefined {
  if (isIP(text) === 4) return text; // the usual case
  const address = text.replace(/^\[(.*)\](?::\d+)?$|^([\d.]+):\d+$/, '$1$2');
  const version = isIP(address);
  if (version === 6) return ipv6Network(address);
  return version === 4 ? address : undefined;
}

/** The first four of the eight groups, or the IPv4 address of an IPv4-mapped address such as ::ffff:192.0.2.1. */
function ipv6Network(address: string): string {
  const [first = '', second] = address.replace(/%.*$/, '').split('::'); // without the zone
  const [before, after] = [groupsOf(first), groupsOf(second ?? '')];
  const groups = [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
  const isMapped = groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0);
  if (isMapped)
    return groups
      .slice(6)
      .flatMap((group) => [group >> 8, group & 0xff])
      .join('.');
  return groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':');
}

/** Parses groups of 16 bits. The last 32 bits may be written as an IPv4 address. */
function groupsOf(text: string): number[] {
  return text
    .split(':')
    .filter(Boolean)
    .flatMap((group) => {
      if (!group.includes('.')) return Number.parseInt(group, 16);
      const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
      return [a * 256 + b, c * 256 + d];
    });
}
