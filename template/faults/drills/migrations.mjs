import { atLeast, exactly } from '../limits.mjs';
import { until } from '../until.mjs';

const NONE = 'The stock application has no migrations.';

const applied = async ({ database }) => {
  const [{ count }] = await database.query('SELECT count(*)::integer AS count FROM migrations');
  return count;
};

export const migrations = [
  {
    name: 'R17-twice',
    title: 'Two concurrent migration jobs',
    notForBaseline: NONE,
    limits: {
      'exit codes other than 0': exactly(0),
      'jobs that applied migrations': exactly(1),
      'migrations applied': atLeast(1),
      'migrations applied twice': exactly(0),
    },
    async run(fixture) {
      const jobs = await Promise.all([1, 2].map(() => fixture.runProgram('dist/migrate.js').ended));
      const names = await fixture.database.query(
        'SELECT name, count(*)::integer AS count FROM migrations GROUP BY name',
      );
      return {
        'exit codes other than 0': jobs.filter(({ code }) => code !== 0).length,
        'jobs that applied migrations': jobs.filter(({ output }) => output.includes('Applied')).length,
        'migrations applied': names.length,
        'migrations applied twice': names.filter(({ count }) => count > 1).length,
      };
    },
  },
  {
    name: 'R17-killed',
    title: 'A migration job is killed at each of its round trips while another job waits',
    notForBaseline: NONE,
    limits: {
      'killed jobs': atLeast(5),
      'failed waiting jobs': exactly(0),
      'missing migrations': exactly(0),
    },
    async run(fixture) {
      await fixture.runProgram('dist/migrate.js').ended;
      const all = await applied(fixture);
      let killed = 0;
      let failed = 0;
      let missing = 0;
      fixture.proxy.latencyMs = 5; // delays round trips, so that the signal arrives between two of them
      const step = fixture.isLong ? 1 : 5;
      for (let count = 1; ; count += step) {
        await fixture.postgres.create(fixture.database.name);
        const from = fixture.proxy.sent;
        const job = fixture.runProgram('dist/migrate.js');
        await until(() => fixture.proxy.sent - from >= count || job.child.exitCode !== null);
        if (job.child.exitCode !== null) break;
        const waiting = fixture.runProgram('dist/migrate.js');
        job.child.kill(count % 2 ? 'SIGKILL' : 'SIGTERM');
        if ((await job.ended).code !== 0) killed++;
        const { code } = await waiting.ended;
        if (code !== 0) failed++;
        missing += all - (code === 0 ? await applied(fixture) : 0);
      }
      return {
        'killed jobs': killed,
        'failed waiting jobs': failed,
        'missing migrations': missing,
      };
    },
  },
];
