import { describe, expect, it } from '@jest/globals';
import { createApiKey } from '../auth/api-key.js';
import { createLogger } from './logger.js';

const PASSWORD = 'p%40ss%22word';

/** The text that `write` makes the logger write: one line of JSON. */
async function logged(write: (logger: Awaited<ReturnType<typeof createLogger>>) => void): Promise<string> {
  let text = '';
  const env = { LOG_LEVEL: 'info', LOG_FORMAT: 'json' as const, DATABASE_URL: `postgresql://app:${PASSWORD}@db/app` };
  write(await createLogger(env, { write: (line) => void (text += line) }));
  JSON.parse(text);
  return text;
}

describe('createLogger', () => {
  it('writes the stack of an error and of its causes', async () => {
    const cause = new Error('deep');
    cause.cause = cause; // circular
    const line = await logged((logger) => logger.error(new Error('shallow', { cause })));
    const { stack_trace: stack, message, severity } = JSON.parse(line);
    expect({ message, severity }).toEqual({ message: 'shallow', severity: 'ERROR' });
    expect(stack).toMatch(/^Error: shallow\n {4}at [^]*\nCaused by: Error: deep\n {4}at /);
  });

  it.each([
    ['an API key', createApiKey().key],
    ['an API key on its own line', createApiKey().key, 'bad\n'],
    ['an API key in capitals', createApiKey().key.toUpperCase()],
    ['an API key in a URL', createApiKey().key.replaceAll('_', '%5F'), '/v1/%20'],
    ['an API key in a name', createApiKey().key, 'id_'],
    ['a JWT', 'eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.'],
    ['an opaque bearer token', 'ya29.a0Af_8k-3', 'Bearer '],
    ['an opaque bearer token after a lower-case scheme', 'ya29.a0Af_8k-3', 'bearer '],
    ['the password in any URL', 'hunter2', 'amqp://user:', '@host'],
    ['the database password', PASSWORD],
    ['the decoded database password', 'p@ss"word'],
  ])('redacts %s in messages, errors and causes', async (_, secret, before = '', after = '') => {
    const text = `${before}${secret}${after}`;
    const line = await logged((logger) => {
      logger.error(new Error(`at ${text}`, { cause: new Error(text) }), `with ${text}`);
    });
    expect(line).toContain('[redacted]');
    expect(line).not.toContain(JSON.stringify(secret).slice(1, -1));
  });

  it.each(['authorization', 'cookie', 'set-cookie', 'x-api-key'])('redacts the header %s', async (name) => {
    const fields = { headers: { [name]: 'hidden' }, [name]: 'hidden' };
    expect(await logged((logger) => logger.info(fields, 'a request'))).not.toContain('hidden');
  });

  it('omits logged request and response objects', async () => {
    const fields = { req: { headers: { cookie: 'hidden' } }, res: { headers: { 'set-cookie': 'hidden' } } };
    expect(await logged((logger) => logger.info(fields))).not.toContain('hidden');
  });

  // A regular expression that backtracks would need a minute.
  it.each(['eyJ', '://:', '://a', 'eyJa.', 'bearer '])('redacts a long line of %s in linear time', async (part) => {
    expect(await logged((logger) => logger.info(part.repeat(100_000)))).toContain('INFO');
  });
});
