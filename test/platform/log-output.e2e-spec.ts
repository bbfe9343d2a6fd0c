import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type Program, startProgram } from '../support/program.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';

/** The longest log lines have 8 kB, so these are more than the buffer holds. */
const LONG_PATH = `/${'x'.repeat(12_000)}`;
const REQUESTS = 300;

let database: TestDatabase;
let program: Program;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterEach(() => program.stop('SIGKILL'));
afterAll(() => database.drop());

/** Starts the service, stops reading its output, and sends requests. */
async function startUnread(): Promise<void> {
  program = await startProgram({ DATABASE_URL: database.url });
  program.reader.pause();
  await Promise.all(Array.from({ length: REQUESTS }, () => fetch(program.url + LONG_PATH)));
}

describe('standard output without a reader', () => {
  it('does not stop the service, and the number of dropped lines is logged once it is read again', async () => {
    await startUnread();
    expect((await fetch(`${program.url}/health/live`)).status).toBe(200);
    program.reader.resume();
    const written = () => program.lines.filter(({ status }) => status === 404).length;
    const dropped = () =>
      program.lines.map(({ message }) => Number(/^Dropped (\d+) log lines/.exec(message)?.[1] ?? 0)).find(Boolean) ?? 0;
    await until(() => written() + dropped() === REQUESTS);
    expect(dropped()).toBeGreaterThan(0);
    expect(await program.stop()).toBe(0);
  });

  it('does not stop a graceful shutdown', async () => {
    await startUnread();
    program.reader.close(); // the last line can be incomplete
    expect(await program.stop()).toBe(0);
  });
});
