import { existsSync, readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';

const read = (file) => (existsSync(file) ? parseEnv(readFileSync(file, 'utf8')) : {});
const values = { ...read('.env.example'), ...read('.env'), ...process.env };
const required = [...readFileSync('src/platform/config/env.ts', 'utf8').matchAll(/^ {2}([A-Z][A-Z\d_]*)!:/gm)]
  .map(([, name]) => name)
  .filter((name) => name !== 'DATABASE_URL');

/** The variables of the service without a default, for every application and program of the tests: DATABASE_URL is not among them. */
export const requiredEnv = Object.fromEntries(required.map((name) => [name, values[name]]));
