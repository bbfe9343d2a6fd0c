import { setTimeout as sleep } from 'node:timers/promises';
import type { DestinationStream } from 'pino';

/** Bytes in memory while nothing reads standard output. Beyond it, lines are dropped. */
const MAX_BUFFERED = 1024 ** 2;

/** Characters of one write, so that a long turn of the event loop does not collect lines without limit. */
const MAX_WRITE = 64 * 1024;

/** The longest wait for a reader when the process ends. */
const FLUSH_TIMEOUT_MS = 400;

/** Lines since the last write. One write per turn of the event loop, because a system call costs more than a line. */
let lines = '';

function writeLines(): void {
  process.stdout.write(lines);
  lines = '';
}

/**
 * Standard output as a destination that never blocks. Lines are written at the end of the turn of the event loop while the
 * reader keeps up, and buffered otherwise. A failed write loses lines only.
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
  process.on('exit', writeLines);
  return {
    write(line) {
      if (stdout.writableLength > MAX_BUFFERED) {
        if (dropped++ === 0) stdout.once('drain', report);
        return;
      }
      if (lines === '') setImmediate(writeLines);
      lines += line;
      if (lines.length > MAX_WRITE) writeLines();
    },
  };
}

/** Waits until the reader of standard output has every line, or for FLUSH_TIMEOUT_MS. */
export async function flushStandardOutput(): Promise<void> {
  writeLines();
  const end = performance.now() + FLUSH_TIMEOUT_MS;
  while (process.stdout.writableLength > 0 && performance.now() < end) await sleep(10);
}
