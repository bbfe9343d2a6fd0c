import { isBuiltin } from 'node:module';

/**
 * Why a service cannot have this name; undefined when it can. It names the npm package, the Cloud Run service, its image,
 * its service accounts and its database.
 */
export function nameFault(name) {
  if (name.length < 2 || name.length > 22) {
    return 'must have 2 to 22 characters: Google allows 30 for a service account, and NAME-runtime must fit';
  }
  if (!/^[a-z]/.test(name)) return 'must begin with a small letter: Cloud Run asks for it';
  if (!/^[a-z0-9-]+$/.test(name)) return 'must be made of small letters, digits and -: Cloud Run and npm ask for it';
  if (name.endsWith('-')) return 'must not end with -: Cloud Run refuses it';
  if (name.startsWith('gcp-')) return 'must not begin with gcp-: Google keeps that for itself';
  if (/^(no|off|on|yes|true|false|null)$/.test(name)) return 'must not be a word that is no text in YAML';
  if (isBuiltin(name) || ['node_modules', 'favicon.ico'].includes(name)) {
    return "must not be the name of one of Node's modules: npm refuses it";
  }
  if (/^(postgres|template[01])$/.test(name))
    return 'must not be the name of a database that PostgreSQL keeps for itself';
  return undefined;
}

/** "Orders API" for orders-api. */
export function titleOf(name) {
  const words = name.split('-').map((word) => (word === 'api' ? 'API' : word));
  return [words[0][0].toUpperCase() + words[0].slice(1), ...words.slice(1)].join(' ');
}
