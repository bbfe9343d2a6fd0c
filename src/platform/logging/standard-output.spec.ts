import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { flushStandardOutput, standardOutput } from './standard-output.js';

let writes: unknown[];
beforeEach(() => {
  writes = [];
  jest.spyOn(process.stdout, 'write').mockImplementation((text) => writes.push(text) > 0);
});
afterEach(() => {
  jest.restoreAllMocks();
});

describe('standardOutput', () => {
  const output = standardOutput(() => undefined);

  it('writes the lines of one turn of the event loop together', async () => {
    output.write('a\n');
    output.write('b\n');
    await nextTurn();
    output.write('c\n');
    await nextTurn();
    expect(writes).toEqual(['a\nb\n', 'c\n']);
  });

  it('does not collect more than 64 kB in a long turn', async () => {
    const line = `${'x'.repeat(999)}\n`;
    for (let count = 0; count < 100; count++) output.write(line);
    expect(writes).toEqual([line.repeat(66)]);
    await nextTurn();
    expect(writes.join('')).toBe(line.repeat(100));
  });

  it('writes the lines of the turn when the process ends', async () => {
    output.write('last\n');
    await flushStandardOutput();
    expect(writes).toEqual(['last\n']);
  });
});
