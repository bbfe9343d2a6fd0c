import { readFileSync } from 'node:fs';

/** Who this service is, from package.json. */
export const packageInfo = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  name: string;
  displayName: string;
  version: string;
  description: string;
};
