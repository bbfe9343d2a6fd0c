import { readFileSync } from 'node:fs';

/** Name and version of the service, from package.json. */
export const packageInfo = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
  name: string;
  displayName: string;
  version: string;
  description: string;
};
