// The requests of the scenarios: those of the file in workloads/ that a feature has, otherwise GET /v1/me.
import { readdirSync } from 'node:fs';

const file = readdirSync('test/container/workloads').find((name) => name !== 'me.mjs') ?? 'me.mjs';

/**
 * - `scopes` of the API key; `prepare(instance, headers)` creates what the requests need
 * - `request(number)` is a request of the traffic, `status` its expected status; `ask` is a path that needs the database
 * - `hold` is SQL that blocks the `slow` requests, `slowStatus` their expected status
 * - `large` is the path of the body that is too large, and the accepted results
 * - `assertNothingLost(database, traffic)` compares the responses with the database
 */
export const workload = await import(`./workloads/${file}`);
