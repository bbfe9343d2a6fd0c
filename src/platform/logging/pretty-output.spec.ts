import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { prettyOutput } from './pretty-output.js';

/** The terminal output of one log line. */
async function format(line: object): Promise<string> {
  const terminal = new PassThrough();
  const output = await prettyOutput(terminal);
  output.write(`${JSON.stringify({ time: '2030-01-31T12:00:00.000Z', ...line })}\n`);
  terminal.end();
  return stripVTControlCharacters(await text(terminal));
}

describe('prettyOutput', () => {
  it('shows the fields of a rejected request, its duration and its request id', async () => {
    const line = await format({
      severity: 'INFO',
      message: 'POST /v1/notes 400 invalid_request',
      ...{ code: 'invalid_request', pointers: ['#/title'], durationMs: 3, requestId: 'id-1' },
    });
    expect(line).toMatch(/INFO: POST \/v1\/notes 400 invalid_request {2}#\/title {2}3 ms {2}id-1\n$/);
  });

  it.each([
    ['WARNING', 'WARN'],
    ['ERROR', 'ERROR'],
    ['CRITICAL', 'FATAL'],
  ])('shows severity %s as %s', async (severity, label) => {
    expect(await format({ severity, message: 'text', context: 'main' })).toContain(` ${label}: [main] text`);
  });

  it('shows a stack on several lines, once', async () => {
    const stack = 'Error: failed\n    at get (src/notes/notes.service.ts:7:11)';
    const output = await format({ severity: 'ERROR', message: 'failed', stack_trace: stack });
    expect(output).toContain(`ERROR: ${stack}\n`);
  });
});
