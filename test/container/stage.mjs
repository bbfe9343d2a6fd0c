import { Instance, runJob } from './instance.mjs';
import { Traffic } from './traffic.mjs';

/** What one scenario has: a database, which is a copy of the migrated one, and the instances and clients that it starts. */
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
    /** Requests at this rate to the given instances, until it is stopped. */
    sendTraffic(rate, route) {
      traffics.push(new Traffic({ rate, headers, route }));
      return traffics.at(-1);
    },
    migrate: (target) => runJob({ image, database: target }),
    /** The end of what the instances have said, for when something went wrong. */
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
