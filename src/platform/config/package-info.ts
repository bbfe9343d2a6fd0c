import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';

/** Name and version of the service, from package.json. */
export const packageInfo = JSON.parse(readFileSync(findPackageJSON(import.meta.url)!, 'utf8')) as {
  name: string;
  displayName: string;
  version: string;
  description: string;
};
