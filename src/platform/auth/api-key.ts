import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { crc32 } from 'node:zlib';

const API_KEY = /^(sk_([0-9a-f]{16})_[0-9a-f]{64})([0-9a-f]{8})$/;

/**
 * Makes a key: `sk_`, an id of 64 bits, a secret of 256 random bits and a checksum, all in hexadecimal digits. The prefix
 * and the checksum let scanners find a leaked key without false alarms.
 * See https://docs.github.com/en/code-security/secret-scanning/secret-scanning-partnership-program/secret-scanning-partner-program#identify-your-secrets-and-create-regular-expressions
 */
export function createApiKey(id = randomBytes(8).toString('hex')): { key: string; id: string; hash: string } {
  const body = `sk_${id}_${randomBytes(32).toString('hex')}`;
  const key = body + checksum(body);
  return { key, id, hash: hashApiKey(key) };
}

/** @returns the id of a well-formed key, or undefined: a typing error costs no query */
export function parseApiKeyId(token: string): string | undefined {
  const [, body = '', id, sum] = API_KEY.exec(token) ?? [];
  return sum === checksum(body) ? id : undefined;
}

/** A fast hash is enough: nobody guesses 256 random bits. https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html */
export function hashApiKey(key: string): string {
  return hash('sha256', key);
}

/** Compares in a time that tells nothing of where the two differ. */
export function verifyApiKey(token: string, expectedHash: string): boolean {
  return timingSafeEqual(Buffer.from(hashApiKey(token)), Buffer.from(expectedHash));
}

const checksum = (text: string) => crc32(text).toString(16).padStart(8, '0');
