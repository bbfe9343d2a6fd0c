import { jest } from '@jest/globals';

const now = { date: Date.now, performance: performance.now.bind(performance) };

/** Moves the clock of this process forward, until `jest.restoreAllMocks()`. Timers keep their pace. */
export function advanceClock(seconds: number): void {
  jest.spyOn(Date, 'now').mockImplementation(() => now.date() + seconds * 1000);
  jest.spyOn(performance, 'now').mockImplementation(() => now.performance() + seconds * 1000);
}
