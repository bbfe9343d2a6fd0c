// What the scenarios ask of the service: the writes of the resource that has a file of its own in workloads/, and where
// there is none, who they are.
import { readdirSync } from 'node:fs';

const file = readdirSync('test/container/workloads').find((name) => name !== 'me.mjs') ?? 'me.mjs';

/**
 * - `scopes` of the harness' key; `prepare(instance, headers)` makes what the requests need
 * - `request(number)` is a request of the traffic, and `status` its answer; `ask` is one that needs the database
 * - `hold` is SQL that makes the `slow` requests wait, `slowStatus` their answer
 * - `large` is where a body goes that is too large, and the answers that it may get
 * - `assertNothingLost(database, traffic)` holds what was answered against the database
 */
export const workload = await import(`./workloads/${file}`);
