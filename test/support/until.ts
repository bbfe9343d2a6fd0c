import { setTimeout as sleep } from 'node:timers/promises';

/** Polls until the condition is true. @throws {Error} after `timeoutMs` */
export async function until(condition: () => Promise<boolean> | boolean, timeoutMs = 10_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`Not true within ${timeoutMs} ms: ${condition.toString()}`);
    await sleep(10);
  }
}
