import { isBuiltin } from 'node:module';

/**
 * Validates a service name. Returns the reason why it is invalid, or undefined. The npm package, the Cloud Run service, its
 * image, its service accounts and its database have this name.
 */
export function nameFault(name) {
  if (name.length < 2 || name.length > 22) {
    return 'must have 2 to 22 characters: Google allows 30 for a service account, and NAME-runtime must fit';
  }
  if (!/^[a-z]/.test(name)) return 'must begin with a lowercase letter: Cloud Run requires it';
  if (!/^[a-z0-9-]+$/.test(name))
    return 'must contain only lowercase letters, digits and -: Cloud Run and npm require it';
  if (name.endsWith('-')) return 'must not end with -: Cloud Run rejects it';
  if (name.startsWith('gcp-')) return 'must not begin with gcp-: Google reserves the prefix';
  if (/^(no|off|on|yes|true|false|null)$/.test(name)) return 'must not be a YAML keyword';
  if (isBuiltin(name) || ['node_modules', 'favicon.ico'].includes(name)) {
    return 'must not be the name of a built-in Node module: npm rejects it';
  }
  if (/^(postgres|template[01])$/.test(name)) return 'must not be the name of a database that PostgreSQL reserves';
  return undefined;
}

/** Returns the default title, such as "Orders API" for orders-api. */
export function titleOf(name) {
  const words = name.split('-').map((word) => (word === 'api' ? 'API' : word));
  return [words[0][0].toUpperCase() + words[0].slice(1), ...words.slice(1)].join(' ');
}
