/** Escapes a key for a JSON pointer in a URI fragment: https://www.rfc-editor.org/rfc/rfc6901#section-6 */
export function escapePointer(key: string): string {
  return encodeURIComponent(key.toWellFormed().replaceAll('~', '~0').replaceAll('/', '~1'));
}
