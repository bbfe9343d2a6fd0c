import { describe, expect, it } from '@jest/globals';
import type { Request } from 'express';
import { clientAddress } from './client-address.js';

const addressOf = (ip?: string, remoteAddress: string | undefined = '192.0.2.1') =>
  clientAddress({ ip, socket: { remoteAddress } } as Request);

describe('clientAddress', () => {
  it.each([
    ['203.0.113.7', '203.0.113.7'],
    ['203.0.113.7:50123', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['[::ffff:203.0.113.7]:443', '203.0.113.7'],
    ['::ffff:cb00:7107', '203.0.113.7'],
    ['::FFFF:CB00:7107', '203.0.113.7'],
    ['0:0:0:0:0:ffff:203.0.113.7', '203.0.113.7'],
    ['::203.0.113.7', '0:0:0:0'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
    ['fe80:1:2:3::%eth0', 'fe80:1:2:3'],
    ['[fe80::1%eth0]:443', 'fe80:0:0:0'],
    ['1:2:3:4:5:6:192.0.2.33', '1:2:3:4'],
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

  it.each([
    ...['', 'unknown', '203.0.113.7, 203.0.113.8', 'x'.repeat(10_000), '999.1.1.1', '1:2', '203.0.113.7:', '[::1'],
    ...['010.0.0.1', '1.2.3', '0x7f000001', '203.0.113.7/32', '::1::', undefined],
  ])('returns the address of the connection for %j', (ip) => {
    expect(addressOf(ip)).toBe('192.0.2.1');
  });

  it('returns the network of a connection over IPv6', () => {
    expect(addressOf('unknown', '2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1:2');
    expect(addressOf('unknown', '::ffff:203.0.113.7')).toBe('203.0.113.7');
  });
});
