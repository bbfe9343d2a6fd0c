import { Instance, runJob } from './instance.mjs';
import { Traffic } from './traffic.mjs';

/** The environment of one scenario: a copy of the migrated database, and functions that start instances and clients. */
export async function setStage({ image, network, server, template, commit, headers }) {
  const traffics = [];
  const instances = [];
  const database = await server.copy(template);
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
      databases.push(await server.createEmpty());
      return databases.at(-1);
    },
    /** Sends requests to the given instances at this rate, until it is stopped. */
    sendTraffic(rate, route) {
      traffics.push(new Traffic({ rate, headers, route }));
      return traffics.at(-1);
    },
    migrate: (target) => runJob({ image, database: target }),
    /** Returns the last log lines of the instances, for a failure report. */
    lastWords: () =>
      instances.flatMap(({ lines, noise }) => [...lines.map((line) => JSON.stringify(line)), ...noise].slice(-8)),
    async clear() {
      await Promise.all(instances.map((instance) => instance.signal('KILL')));
      await Promise.all(instances.map(({ ended }) => ended));
      await Promise.all(traffics.map((traffic) => traffic.stop()));
      for (const each of databases) each.shut();
    },
  };
}
