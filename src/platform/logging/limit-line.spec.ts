import { describe, expect, it } from '@jest/globals';
import { limitLine } from './limit-line.js';

const REQUIRED = { severity: 'INFO', time: '2030-01-31T12:00:00.000Z', requestId: 'id-1' };
const line = (fields: object) => `${JSON.stringify({ ...REQUIRED, ...fields })}\n`;

describe('limitLine', () => {
  it('keeps a line of up to 8,000 bytes', () => {
    const short = line({ message: 'x'.repeat(7_900) });
    expect(limitLine(short)).toBe(short);
  });

  it.each<[string, object]>([
    ['a long path', { path: `/${'x'.repeat(15_000)}`, message: `GET /${'x'.repeat(15_000)} 404` }],
    ['characters of three bytes', { message: `${'€'.repeat(5_000)} 404` }],
    ['half characters', { message: `${'😀'.repeat(9_000)} 404` }],
    ['escapes', { message: `${'\u0001'.repeat(5_000)} 404` }],
    ['a long list', { pointers: Array.from({ length: 1_000 }, (_, index) => `#/field${index}`), message: '404' }],
    ['long elements', { pointers: ['x'.repeat(90_000), 'x'.repeat(90_000)], message: '404' }],
    ['nested objects', { headers: { deep: { deeper: 'x'.repeat(10_000) } }, message: '404' }],
    ['many fields', { ...Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`f${i}`, i])), message: '404' }],
    ['a long name', { ['x'.repeat(10_000)]: 1, message: '404' }],
  ])('shortens %s to 8,000 bytes, and keeps the end of the message', (_, fields) => {
    const short = limitLine(line(fields));
    expect(Buffer.byteLength(short)).toBeLessThanOrEqual(8_000);
    expect(short.endsWith('}\n')).toBe(true);
    expect(JSON.parse(short)).toMatchObject({ ...REQUIRED, message: expect.stringMatching(/404$/) });
    expect(short.isWellFormed()).toBe(true);
  });
});
