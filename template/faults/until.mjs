import { setTimeout as sleep } from 'node:timers/promises';

/** @returns the milliseconds until the condition is true; Infinity if it is not true within `withinMs` */
export async function timeUntil(condition, withinMs = 20_000) {
  const beganAt = performance.now();
  while (!(await condition())) {
    if (performance.now() - beganAt > withinMs) return Infinity;
    await sleep(10);
  }
  return performance.now() - beganAt;
}

/** Polls until the condition is true. @throws {Error} after `withinMs` */
export async function until(condition, withinMs = 20_000) {
  if ((await timeUntil(condition, withinMs)) === Infinity) {
    throw new Error(`not within ${withinMs / 1000} s: ${condition}`);
  }
}
