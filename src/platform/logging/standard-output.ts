import { setTimeout as sleep } from 'node:timers/promises';
import type { DestinationStream } from 'pino';

/** Bytes in memory while nothing reads standard output. Beyond it, lines are dropped. */
const MAX_BUFFERED = 1024 ** 2;

/** The longest wait for a reader when the process ends. */
const FLUSH_TIMEOUT_MS = 400;

/**
 * Standard output as a destination that never blocks. Node writes a line immediately while the reader keeps up, and buffers
 * it otherwise. A failed write loses lines only.
 * @param reportDropped writes how many lines were dropped, once the reader continues
 */
export function standardOutput(reportDropped: (count: number) => void): DestinationStream {
  const { stdout } = process;
  let dropped = 0;
  const report = () => {
    const count = dropped;
    dropped = 0;
    reportDropped(count);
  };
  stdout.on('error', () => undefined);
  return {
    write(line) {
      if (stdout.writableLength <= MAX_BUFFERED) stdout.write(line);
      else if (dropped++ === 0) stdout.once('drain', report);
    },
  };
}

/** Waits until the reader of standard output has every line, or for FLUSH_TIMEOUT_MS. */
export async function flushStandardOutput(): Promise<void> {
  const end = performance.now() + FLUSH_TIMEOUT_MS;
  while (process.stdout.writableLength > 0 && performance.now() < end) await sleep(10);
}
