import { createDatabase } from './database.mjs';
import { Instance, runJob } from './instance.mjs';
import { Traffic } from './traffic.mjs';

/** The environment of one scenario: a copy of the migrated database, and the instances and clients that it starts. */
export async function createStage({ image, network, commit, headers }) {
  const traffics = [];
  const instances = [];
  const database = await createDatabase();
  const databases = [database];
  return {
    commit,
    headers,
    database,
    instances,
    async start(options) {
      const instance = await Instance.start({ image, network, database, ...options });
      instances.push(instance);
      return instance;
    },
    async createEmpty() {
      databases.push(await createDatabase({ empty: true }));
      return databases.at(-1);
    },
    /** Sends requests at this rate to the given instances. */
    sendTraffic(rate, route) {
      traffics.push(new Traffic({ rate, headers, route }));
      return traffics.at(-1);
    },
    migrate: (target) => runJob({ image, database: target }),
    /** The last lines of each instance, for a failure report. */
    lastLines: () =>
      instances.flatMap(({ lines, noise }) => [...lines.map((line) => JSON.stringify(line)), ...noise].slice(-8)),
    async clear() {
      await Promise.all(instances.map((instance) => instance.signal('KILL')));
      await Promise.all(instances.map(({ ended }) => ended));
      await Promise.all(traffics.map((traffic) => traffic.stop()));
      await Promise.all(databases.map((each) => each.remove()));
    },
  };
}
