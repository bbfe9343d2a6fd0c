// What the bare servers share of their environment: the same variables as the service's.
import pg from 'pg';

export const { PORT = 8080, HOST = '0.0.0.0', LOG_LEVEL = 'info' } = process.env;

export const pool = new pg.Pool({
  connectionString: process.env.DATABASE_URL,
  max: Number(process.env.DATABASE_POOL_MAX ?? 10),
  application_name: 'bench baseline',
});
