// The connection pool of the bare servers. It reads the same environment variables as this service.
import pg from 'pg';

export const { PORT = 8080, HOST = '0.0.0.0', LOG_LEVEL = 'info' } = process.env;

export const pool = new pg.Pool({
  connectionString: process.env.DATABASE_URL,
  max: Number(process.env.DATABASE_POOL_MAX ?? 10),
  application_name: 'bench baseline',
});
