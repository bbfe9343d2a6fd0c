import { atLeast, exactly } from '../limits.mjs';
import { until } from '../until.mjs';

const NONE = 'It has no migrations.';

const applied = async ({ database }) => {
  const [{ count }] = await database.query('SELECT count(*)::integer AS count FROM migrations');
  return count;
};

export const migrations = [
  {
    name: 'R17-twice',
    title: 'Two jobs migrate at once',
    notForPeer: NONE,
    limits: {
      'exit codes other than 0': exactly(0),
      'jobs that had something to do': exactly(1),
      'migrations applied': atLeast(1),
      'migrations applied twice': exactly(0),
    },
    async run(stage) {
      const jobs = await Promise.all([1, 2].map(() => stage.runProgram('dist/migrate.js').ended));
      const names = await stage.database.query('SELECT name, count(*)::integer AS count FROM migrations GROUP BY name');
      return {
        'exit codes other than 0': jobs.filter(({ code }) => code !== 0).length,
        'jobs that had something to do': jobs.filter(({ output }) => output.includes('Applied')).length,
        'migrations applied': names.length,
        'migrations applied twice': names.filter(({ count }) => count > 1).length,
      };
    },
  },
  {
    name: 'R17-killed',
    title: 'A migration job is killed on the way, at each of its round trips, while another waits',
    notForPeer: NONE,
    limits: {
      'jobs that were killed on the way': atLeast(5),
      'waiting jobs that failed': exactly(0),
      'migrations missing afterwards': exactly(0),
    },
    async run(stage) {
      await stage.runProgram('dist/migrate.js').ended;
      const all = await applied(stage);
      let killed = 0;
      let failed = 0;
      let missing = 0;
      stage.proxy.latencyMs = 5; // so that a signal comes between two round trips
      const step = stage.isLong ? 1 : 5;
      for (let count = 1; ; count += step) {
        await stage.postgres.create(stage.database.name);
        const from = stage.proxy.sent;
        const job = stage.runProgram('dist/migrate.js');
        await until(() => stage.proxy.sent - from >= count || job.child.exitCode !== null);
        if (job.child.exitCode !== null) break;
        const waiting = stage.runProgram('dist/migrate.js');
        job.child.kill(count % 2 ? 'SIGKILL' : 'SIGTERM');
        if ((await job.ended).code !== 0) killed++;
        const { code } = await waiting.ended;
        if (code !== 0) failed++;
        missing += all - (code === 0 ? await applied(stage) : 0);
      }
      return {
        'jobs that were killed on the way': killed,
        'waiting jobs that failed': failed,
        'migrations missing afterwards': missing,
      };
    },
  },
];
