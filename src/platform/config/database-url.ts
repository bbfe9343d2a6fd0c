import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';

/** https://www.rfc-editor.org/rfc/rfc3986#appendix-A: unreserved, sub-delims and percent-encoded characters */
const ENCODED = /^(?:[\w.~!$&'()*+,;=-]|%[\da-f]{2})*$/i;
const ADDRESS = /^(?<host>(?:[\w.-]|%[\da-f]{2})*|\[[\da-f:.]+\])(?::(?<port>\d+))?$/i;

const TLS_PARAMETERS = ['sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'sslnegotiation', 'uselibpqcompat'];
const PARAMETERS = ['host', 'port', 'application_name', 'options', ...TLS_PARAMETERS];
const SSL_MODES = ['disable', 'no-verify', 'prefer', 'require', 'verify-ca', 'verify-full'];

const MUST_ENCODE =
  'must percent-encode reserved characters of the user name and password: ' +
  '% as %25, @ as %40, : as %3A, / as %2F, ? as %3F, # as %23, \\ as %5C, a space as %20';

/**
 * Validates the URL of a PostgreSQL database. The driver would take a part of an unencoded password for the host or the
 * database, and look it up and log it.
 * @returns the fault as `must …`, without a part of the URL; undefined for a valid one
 */
export function findDatabaseUrlFault(url: string): string | undefined {
  if (/^\s|\s$/.test(url)) return 'must not begin or end with whitespace, such as the line break of a file';
  if (!/^postgres(ql)?:\/\//.test(url)) return 'must be a URL that begins with postgresql://';
  const [, authority, database = '', query = ''] = /\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(url) ?? [];
  if (authority === undefined || /@/.test(database + query)) return MUST_ENCODE;
  const at = authority.lastIndexOf('@');
  const [user = '', password = '', ...rest] = authority.slice(0, Math.max(at, 0)).split(':');
  if (rest.length > 0 || ![user, password, database, query.replaceAll(/[/:]/g, '')].every(isEncoded))
    return MUST_ENCODE;

  const parameters = [...new URLSearchParams(query)];
  const { host, port, ...others } = Object.fromEntries(parameters);
  const address = authority.slice(at + 1);
  if (`${address}${host}`.includes(',')) return 'must name one host';
  const { groups } = ADDRESS.exec(address) ?? {};
  if (!groups) return `must have HOST or HOST:PORT before the database, and ${MUST_ENCODE}`;
  if (!groups.host && !host) return 'must name a host';
  if (![groups.port, port].every((each) => each === undefined || isPort(each)))
    return 'must have a port from 1 to 65535';
  if (!database) return 'must name a database after the host: postgresql://HOST/DATABASE';
  if (!parameters.every(([name]) => PARAMETERS.includes(name))) {
    return `must have no other parameters than ${PARAMETERS.join(', ')}`;
  }
  if (new Set(parameters.map(([name]) => name)).size < parameters.length) return 'must have each parameter once';
  return findTlsFault(others);
}

function isEncoded(text: string): boolean {
  try {
    return ENCODED.test(text) && !decodeURIComponent(text).includes('\0');
  } catch {
    return false; // percent-encoded bytes that are not UTF-8
  }
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) > 0 && Number(text) < 65_536;
}

/** Without these checks the driver fails while it connects, which looks like a database that is not available yet. */
function findTlsFault({ sslmode, sslrootcert, sslcert, sslkey, uselibpqcompat }: Record<string, string>) {
  if (sslmode !== undefined && !SSL_MODES.includes(sslmode)) return `must have an sslmode of ${SSL_MODES.join(', ')}`;
  if (!sslcert !== !sslkey) return 'must have sslcert and sslkey together';
  if (sslmode === 'verify-ca' && uselibpqcompat && !sslrootcert) return 'must name the CA in sslrootcert for verify-ca';
  const contents: Record<string, string> = {};
  for (const [name, file] of Object.entries({ sslrootcert, sslcert, sslkey })) {
    if (file === undefined) continue;
    try {
      contents[name] = readFileSync(file, 'utf8');
    } catch (error) {
      return `must name a readable file in ${name} (${(error as NodeJS.ErrnoException).code})`;
    }
  }
  if (contents.sslrootcert !== undefined && !isCertificate(contents.sslrootcert)) {
    return 'must name a PEM certificate in sslrootcert';
  }
  try {
    createSecureContext({ cert: contents.sslcert, key: contents.sslkey });
  } catch {
    return 'must name a PEM certificate in sslcert and its unencrypted private key in sslkey';
  }
  return undefined;
}

function isCertificate(pem: string): boolean {
  try {
    return Boolean(new X509Certificate(pem));
  } catch {
    return false;
  }
}
