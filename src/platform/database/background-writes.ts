import { AsyncLocalStorage } from 'node:async_hooks';
import { Injectable, Logger } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';

type Write = (manager: EntityManager) => Promise<unknown>;

/**
 * Limits what a write can wait for. `synchronous_commit = off` does not wait for the disk or a replica; a crash may lose
 * the write. https://www.postgresql.org/docs/current/wal-async-commit.html
 */
const LIMITS = `SELECT set_config('lock_timeout', '100ms', true), set_config('statement_timeout', '1s', true),
                       set_config('synchronous_commit', 'off', true)`;

/**
 * Runs writes that no response depends on, one at a time. Requests never wait for them, and at most one connection of the
 * pool is in use, for about a second at most. A failed write is logged and dropped.
 */
@Injectable()
export class BackgroundWrites {
  private readonly logger = new Logger(BackgroundWrites.name);
  private readonly pending = new Map<string, Write>();
  private isRunning = false;
  /** The writes belong to no request: its log line and trace omit them. */
  private readonly runOutsideRequest = AsyncLocalStorage.snapshot();

  constructor(private readonly dataSource: DataSource) {}

  /** @param name of the write. A write replaces a pending write of the same name, which bounds the queue */
  add(name: string, write: Write): void {
    this.pending.set(name, write);
    if (!this.isRunning) void this.runOutsideRequest(() => this.run());
  }

  private async run(): Promise<void> {
    this.isRunning = true;
    for (const [name, write] of this.pending) {
      this.pending.delete(name);
      try {
        await this.dataSource.transaction(async (manager) => {
          await manager.query(LIMITS);
          await write(manager);
        });
      } catch (error) {
        this.logger.warn(`Failed to ${name}: ${String(error)}`);
      }
    }
    this.isRunning = false;
  }
}
