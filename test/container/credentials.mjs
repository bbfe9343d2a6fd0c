// Who the harness is to the service. Every route is open so far: a key is nothing, and needs no header.

/** Makes a key in a migrated database with the image's own program. */
export async function createKey() {
  return undefined;
}

/** What a request needs to be let in. */
export function credentials() {
  return {};
}
