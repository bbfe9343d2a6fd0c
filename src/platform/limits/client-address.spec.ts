import { describe, expect, it } from '@jest/globals';
import type { Request } from 'express';
import { clientAddress } from './client-address.js';

const addressOf = (ip?: string) => clientAddress({ ip, socket: { remoteAddress: '192.0.2.1' } } as Request);

describe('clientAddress', () => {
  it.each([
    ['203.0.113.7', '203.0.113.7'],
    ['203.0.113.7:50123', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:DB8:1:2::1', '2001:db8:1:2'],
    ['[2001:db8:1:2::1]:443', '2001:db8:1:2'],
    ['2001:db8::1', '2001:db8:0:0'],
    ['2001:0db8:0001:0002::', '2001:db8:1:2'],
    ['::1', '0:0:0:0'],
    ['1::2:3:4:5:6:7', '1:0:2:3'],
    ['64:ff9b::192.0.2.33', '64:ff9b:0:0'],
  ])('returns the network of %s as %s', (ip, network) => {
    expect(addressOf(ip)).toBe(network);
  });

  it.each(['', 'unknown', '203.0.113.7, 203.0.113.8', 'x'.repeat(10_000), '999.1.1.1', '1:2', undefined])(
    'returns the address of the connection for %j',
    (ip) => {
      expect(addressOf(ip)).toBe('192.0.2.1');
    },
  );
});
