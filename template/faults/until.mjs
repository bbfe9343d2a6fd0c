import { setTimeout as sleep } from 'node:timers/promises';

/** @returns how many milliseconds it took until the answer was yes; Infinity when it was not within `withinMs` */
export async function timeUntil(condition, withinMs = 20_000) {
  const beganAt = performance.now();
  while (!(await condition())) {
    if (performance.now() - beganAt > withinMs) return Infinity;
    await sleep(10);
  }
  return performance.now() - beganAt;
}

/** @throws after `withinMs`, so that a drill fails where it waits */
export async function until(condition, withinMs = 20_000) {
  if ((await timeUntil(condition, withinMs)) === Infinity) {
    throw new Error(`not within ${withinMs / 1000} s: ${condition}`);
  }
}
