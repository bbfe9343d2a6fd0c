import { AsyncLocalStorage } from 'node:async_hooks';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';

const SYNC_INTERVAL_MS = 60_000;

/**
 * The time of the database, which decides when a credential expires. The clock of an instance may be wrong or may be
 * changed. Between two synchronizations the time advances by the monotonic clock.
 */
@Injectable()
export class DatabaseClock {
  /** The time of the database when the monotonic clock was 0. */
  private origin?: number;
  private attemptedAt = -Infinity;
  private readonly runOutsideRequest = AsyncLocalStorage.snapshot();

  constructor(private readonly dataSource: DataSource) {}

  /** @throws {Error} of the database before the first synchronization; later failures keep the last one */
  async now(): Promise<Date> {
    if (this.origin === undefined) await this.synchronize();
    else if (performance.now() - this.attemptedAt > SYNC_INTERVAL_MS) {
      this.runOutsideRequest(() => this.synchronize()).catch(() => undefined);
    }
    return new Date(performance.now() + Number(this.origin));
  }

  private async synchronize(): Promise<void> {
    this.attemptedAt = performance.now();
    const sentAt = this.attemptedAt; // a slow response makes the clock fast, which is the safe side
    const [{ now }] = await this.dataSource.query<[{ now: Date }]>('SELECT now() AS now');
    this.origin = now.valueOf() - sentAt;
  }
}
