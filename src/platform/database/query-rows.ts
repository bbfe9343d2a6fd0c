import type { Pool, PoolClient } from 'pg';
import { type DataSource, type ObjectLiteral, QueryFailedError, type QueryRunner } from 'typeorm';
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver.js';

/**
 * Returns the rows of a statement like `dataSource.query()`, which creates and releases a query runner for each statement outside
 * of a transaction.
 *
 * @param queryRunner that of the transaction
 */
export async function queryRows(
  dataSource: DataSource,
  sql: string,
  values: unknown[],
  queryRunner?: QueryRunner,
): Promise<ObjectLiteral[]> {
  const { driver, isInitialized, logger, subscribers } = dataSource;
  if (queryRunner || !isInitialized || subscribers.length > 0) {
    return dataSource.query<ObjectLiteral[]>(sql, values, queryRunner);
  }
  logger.logQuery(sql, values);
  const client = await acquire((driver as PostgresDriver).master);
  client.on('error', ignore);
  try {
    return (await client.query<ObjectLiteral>(sql, values)).rows;
  } catch (error) {
    logger.logQueryError(error as Error, sql, values);
    throw new QueryFailedError(sql, values, error as Error);
  } finally {
    client.off('error', ignore);
    client.release();
  }
}

const acquire = (pool: Pool) =>
  new Promise<PoolClient>((resolve, reject) => {
    pool.connect((error, client) => (client ? resolve(client) : reject(error!)));
  });

/** A lost connection fails the statement too. Without a listener, its event would end the process. */
const ignore = () => undefined;
