import { type IncomingMessage, request } from 'node:http';
import { json } from 'node:stream/consumers';

/** A token is replaced this long before it expires. */
const EXPIRY_MARGIN_MS = 5 * 60_000;

/**
 * The access token of the service account, from the metadata server of Google Cloud.
 * https://cloud.google.com/run/docs/container-contract#metadata-server
 */
export class GoogleToken {
  private token?: string;
  private expiresAt = -Infinity;

  constructor(private readonly metadataHost: string) {}

  /** @throws {Error} if the metadata server is not available, as outside of Google Cloud */
  async get(signal: AbortSignal): Promise<string> {
    if (!this.token || performance.now() > this.expiresAt - EXPIRY_MARGIN_MS) {
      // Without the cause, whose message may quote the response.
      const { access_token: token, expires_in: seconds } = await this.fetch(signal).catch(() => {
        throw new Error(`no access token from ${this.metadataHost}`);
      });
      this.token = token;
      this.expiresAt = performance.now() + seconds * 1_000;
    }
    return this.token;
  }

  private async fetch(signal: AbortSignal) {
    const url = `http://${this.metadataHost}/computeMetadata/v1/instance/service-accounts/default/token`;
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request(url, { headers: { 'Metadata-Flavor': 'Google' }, signal }, resolve)
        .on('error', reject)
        .end();
    });
    if (response.statusCode !== 200) throw new Error(`Status ${response.statusCode}`);
    return (await json(response)) as { access_token: string; expires_in: number };
  }
}
