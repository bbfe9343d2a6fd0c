import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { crc32 } from 'node:zlib';

const API_KEY = /^(sk_([0-9a-f]{16})_[0-9a-f]{64})([0-9a-f]{8})$/;

/**
 * Creates a key: `sk_`, an id of 64 bits, a secret of 256 random bits and a checksum, all in hexadecimal digits. Prefix and
 * checksum let secret scanners find a leaked key without false positives.
 * See https://docs.github.com/en/code-security/secret-scanning/secret-scanning-partnership-program/secret-scanning-partner-program#identify-your-secrets-and-create-regular-expressions
 */
export function createApiKey(id = randomBytes(8).toString('hex')): { key: string; id: string; hash: string } {
  const body = `sk_${id}_${randomBytes(32).toString('hex')}`;
  const key = body + checksum(body);
  return { key, id, hash: hashApiKey(key) };
}

/** Returns the id of a well-formed key, or undefined: a mistyped key costs no query. */
export function parseApiKeyId(token: string): string | undefined {
  const [, body = '', id, sum] = API_KEY.exec(token) ?? [];
  return sum === checksum(body) ? id : undefined;
}

/** Hashes a key. A fast hash suffices for 256 random bits: https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html */
export function hashApiKey(key: string): string {
  return hash('sha256', key);
}

/** Verifies a key in constant time. */
export function verifyApiKey(token: string, expectedHash: string): boolean {
  return timingSafeEqual(Buffer.from(hashApiKey(token)), Buffer.from(expectedHash));
}

const checksum = (text: string) => crc32(text).toString(16).padStart(8, '0');
