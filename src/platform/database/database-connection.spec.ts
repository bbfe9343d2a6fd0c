import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import type { HttpAdapterHost } from '@nestjs/core';
import { type DataSource, TypeORMError } from 'typeorm';
import { loadDatabaseEnv } from '../config/env.js';
import { DatabaseConnection } from './database-connection.js';

const host = { httpAdapter: {} } as HttpAdapterHost;
const env = loadDatabaseEnv({ DATABASE_URL: 'postgresql://me@host:6543/app', DATABASE_STARTUP_WARN_AFTER_MS: '1000' });

/** Starts to connect with a data source whose attempts have the given results: an error, or a success. */
function connect(...results: (Error | undefined)[]) {
  return connectTo([], ...results);
}

/** The same, for a server that enforces the given timeouts. */
function connectTo(timeouts: { name: string; setting: string }[], ...results: (Error | undefined)[]) {
  const initialize = jest.fn<() => Promise<void>>();
  for (const error of results) {
    if (error) initialize.mockRejectedValueOnce(error);
    else initialize.mockResolvedValueOnce();
  }
  const query = jest.fn(async () => timeouts);
  const dataSource = { initialize, query, isInitialized: true, destroy: jest.fn<() => Promise<void>>() };
  const connection = new DatabaseConnection(dataSource as unknown as DataSource, env, host);
  void connection.onModuleInit();
  return { connection, dataSource };
}

const refused = new Error('connect ECONNREFUSED');

afterEach(() => {
  jest.restoreAllMocks();
});

describe('DatabaseConnection', () => {
  it('connects once, and closes the data source at shutdown', async () => {
    const log = jest.spyOn(Logger.prototype, 'log').mockReturnValue();
    const { connection, dataSource } = connect(undefined);
    await connection.onApplicationShutdown();
    expect(log).toHaveBeenCalledWith(expect.objectContaining({ attempts: 1, connectMs: connection.connectMs }));
    expect(dataSource.destroy).toHaveBeenCalledTimes(1);
  });

  it('retries until the database accepts a connection, and logs the reason', async () => {
    const log = jest.spyOn(Logger.prototype, 'log').mockReturnValue();
    const warn = jest.spyOn(Logger.prototype, 'warn').mockReturnValue();
    const { connection } = connect(new AggregateError([refused, new Error('connect ENETUNREACH')]), refused, undefined);
    await connection.onApplicationShutdown();
    expect(warn).toHaveBeenCalledTimes(1); // the second failure comes too soon to be logged again
    expect(warn).toHaveBeenCalledWith(
      'Waiting for database app at host:6543 for 0 s: connect ECONNREFUSED, connect ENETUNREACH',
    );
    expect(log).toHaveBeenCalledWith(expect.objectContaining({ attempts: 3 }));
  });

  it('logs an error after DATABASE_STARTUP_WARN_AFTER_MS', async () => {
    const error = jest.spyOn(Logger.prototype, 'error').mockReturnValue();
    jest.spyOn(Logger.prototype, 'log').mockReturnValue();
    const now = jest.spyOn(performance, 'now').mockReturnValueOnce(0).mockReturnValue(2000);
    const { connection } = connect(refused, undefined);
    await connection.onApplicationShutdown();
    now.mockRestore();
    expect(error).toHaveBeenCalledWith(
      expect.stringContaining('for 2 s, past DATABASE_STARTUP_WARN_AFTER_MS (1000 ms)'),
    );
  });

  it('logs which timeouts the server does not enforce, with the statements that set them', async () => {
    jest.spyOn(Logger.prototype, 'log').mockReturnValue();
    const error = jest.spyOn(Logger.prototype, 'error').mockReturnValue();
    const settings = { statement_timeout: '5000', lock_timeout: '0', idle_in_transaction_session_timeout: '60000' };
    const timeouts = Object.entries(settings).map(([name, setting]) => ({ name, setting }));
    await connectTo(timeouts, undefined).connection.onApplicationShutdown();
    expect(error).toHaveBeenCalledWith(
      expect.stringMatching(
        /ALTER ROLE "me" IN DATABASE "app" SET lock_timeout = 2500; ALTER ROLE "me" IN DATABASE "app" SET idle_in_transaction_session_timeout = 10000$/,
      ),
    );
  });

  it('stops retrying at shutdown', async () => {
    jest.spyOn(Logger.prototype, 'warn').mockReturnValue();
    const { connection, dataSource } = connect(refused);
    connection.onModuleDestroy();
    await connection.onApplicationShutdown();
    expect(dataSource.initialize).toHaveBeenCalledTimes(1);
    expect(connection.connectMs).toBeUndefined();
  });

  it('does not retry after an error in the entities', async () => {
    const { connection } = connect(new TypeORMError('no such column'));
    await expect(connection.onApplicationShutdown()).rejects.toThrow('no such column');
  });
});
