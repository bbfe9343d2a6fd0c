import { setTimeout as sleep } from 'node:timers/promises';

/** Asks again and again until the answer is yes. @throws after `timeoutMs`, so that the test fails where it waits */
export async function until(condition: () => Promise<boolean> | boolean, timeoutMs = 10_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`Not within ${timeoutMs} ms: ${condition.toString()}`);
    await sleep(10);
  }
}
