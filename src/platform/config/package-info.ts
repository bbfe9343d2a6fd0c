import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';

/** Who this service is, from package.json. */
export const packageInfo = JSON.parse(readFileSync(findPackageJSON(import.meta.url)!, 'utf8')) as {
  name: string;
  displayName: string;
  version: string;
  description: string;
};
