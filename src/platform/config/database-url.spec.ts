import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { findDatabaseUrlFault } from './database-url.js';

const directory = mkdtempSync(join(tmpdir(), 'database-url-'));
const noCertificate = join(directory, 'Secret.pem');
writeFileSync(noCertificate, 'Secret');
afterAll(() => rmSync(directory, { recursive: true }));

const ENCODE = 'must percent-encode reserved characters';

describe('findDatabaseUrlFault', () => {
  it.each([
    '//127.0.0.1/app',
    '//app@db:5432/app',
    '//app:@db.example.com/app',
    '//app:pass@[::1]:5432/app',
    "//app:a-b.c_d~e!f$g&h'i(j)k*l+m,n;o=p@db/app",
    '//me%40example.com:%25%40%3A%2F%3F%23%5C%20%C3%BC@db/app',
    '//app:pass@/app?host=/cloudsql/project:region:instance',
    '//app:pass@localhost/app?host=%2Fcloudsql%2Fproject%3Aregion%3Ainstance',
    '//app:pass@%2Fcloudsql%2Fproject%3Aregion%3Ainstance/app',
    '//db/app?sslmode=verify-full&application_name=jobs&options=-c%20work_mem%3D8MB',
  ])('accepts postgresql:%s, and so does the driver', (rest) => {
    const url = `postgresql:${rest}`;
    expect(findDatabaseUrlFault(url)).toBeUndefined();
    expect(new Client({ connectionString: url }).database).toBe('app');
  });

  it('accepts the scheme postgres', () => {
    expect(findDatabaseUrlFault('postgres://db/app')).toBeUndefined();
  });

  it.each([
    '@',
    '%',
    '#',
    '/',
    '?',
    ':',
    ' ',
    '\\',
    '^',
    '"',
    '<',
    '[',
    '\u00FC',
    '%zz',
    '%ff',
    '%00',
    '@@',
    '/@',
    ':@',
    '?x=@',
    '#@',
  ])('rejects a password with an unencoded %s, at every position', (character) => {
    for (const password of [`${character}Secret`, `Sec${character}ret`, `Secret${character}`, `1${character}2`]) {
      const fault = findDatabaseUrlFault(`postgresql://app:${password}@127.0.0.1/app`);
      expect(fault).toContain(ENCODE);
      expect(fault).not.toMatch(/Sec|ret/);
    }
  });

  it.each([
    ['Secret://db/app', 'must be a URL that begins with postgresql://'],
    ['"postgresql://app:Secret@db/app"', 'must be a URL that begins with postgresql://'],
    ['postgresql://app:Secret@db/app\n', 'must not begin or end with whitespace'],
    [' postgresql://app:Secret@db/app', 'must not begin or end with whitespace'],
    ['postgresql:///Secret', 'must name a host'],
    ['postgresql://app:Secret@/app', 'must name a host'],
    ['postgresql://app:Secret@db', 'must name a database'],
    ['postgresql://app:Secret@db/', 'must name a database'],
    ['postgresql://app:Secret@db:0/app', 'must have a port from 1 to 65535'],
    ['postgresql://app:Secret@db:65536/app', 'must have a port from 1 to 65535'],
    ['postgresql://app:Secret@db/app?port=x', 'must have a port from 1 to 65535'],
    ['postgresql://app:Secret@db:/app', 'must have HOST or HOST:PORT'],
    ['postgresql://app:Secret@db:port/app', 'must have HOST or HOST:PORT'],
    ['postgresql://app:Secret/rest', 'must have HOST or HOST:PORT'],
    ['postgresql://app:Secret@one,two/app', 'must name one host'],
    ['postgresql://app:Secret@one:5432,two:5432/app', 'must name one host'],
    ['postgresql://app:Secret@/app?host=one,two', 'must name one host'],
    ['postgresql://db/app?Secret=1', 'must have no other parameters than'],
    ['postgresql://db/app?sslmod=verify-full', 'must have no other parameters than'],
    ['postgresql://db/app?sslmode=disable&sslmode=require', 'must have each parameter once'],
    ['postgresql://db/app?sslmode=Secret', 'must have an sslmode of'],
    ['postgresql://db/app?sslmode=', 'must have an sslmode of'],
    [
      'postgresql://db/app?sslmode=verify-full&sslrootcert=/Secret.pem',
      'must name a readable file in sslrootcert (ENOENT)',
    ],
    [`postgresql://db/app?sslrootcert=${directory}`, 'must name a readable file in sslrootcert (EISDIR)'],
    [`postgresql://db/app?sslrootcert=${noCertificate}`, 'must name a PEM certificate in sslrootcert'],
    [`postgresql://db/app?sslcert=${noCertificate}&sslkey=${noCertificate}`, 'must name a PEM certificate in sslcert'],
    [`postgresql://db/app?sslcert=${noCertificate}`, 'must have sslcert and sslkey together'],
    ['postgresql://db/app?uselibpqcompat=true&sslmode=verify-ca', 'must name the CA in sslrootcert'],
  ])('rejects %j: %s', (url, fault) => {
    expect(findDatabaseUrlFault(url)).toContain(fault);
    expect(findDatabaseUrlFault(url)).not.toContain('Secret');
  });
});
