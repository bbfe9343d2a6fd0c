// The requests of the scenarios: writes to the first resource with a file in workloads/. Without such a file, they are
// requests to /v1/me.
import { readdirSync } from 'node:fs';

const file = readdirSync('test/container/workloads').find((name) => name !== 'me.mjs') ?? 'me.mjs';

/**
 * - `scopes` of the harness's key; `prepare(instance, headers)` creates the data that the requests require
 * - `request(number)` returns a request of the traffic, with the response `status`; `ask` requires the database
 * - `hold` is SQL that blocks the `slow` requests, with the response `slowStatus`
 * - `large` has the path for an oversized body, and the allowed responses
 * - `assertNothingLost(database, traffic)` compares the acknowledged writes with the database
 */
export const workload = await import(`./workloads/${file}`);
