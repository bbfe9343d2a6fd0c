// Runs the gcloud commands of docs/runbook.md against the stand-in, which has a log entry of each incident.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startCloud } from '../standin/cloud.mjs';
import { addProject, log } from '../standin/state.mjs';
import { fillBin, runScript } from '../standin/workbench.mjs';

const SECTIONS = readFileSync('docs/runbook.md', 'utf8')
  .split(/^## /m)
  .map((section) => ({
    id: section.slice(0, section.indexOf('\n')),
    commands: [...section.matchAll(/^```sh\n(gcloud [^]*?)\n```$/gm)].map(([, command]) => command),
  }))
  .filter(({ commands }) => commands.length > 0);

const REVISION = {
  type: 'cloud_run_revision',
  labels: { service_name: 'orders', revision_name: 'orders-1a2b3c4-17-1' },
};
const JOB = { type: 'cloud_run_job', labels: { job_name: 'orders-migrate' } };
const stdout = (jsonPayload) => ({
  logName: 'projects/p/logs/run.googleapis.com%2Fstdout',
  resource: REVISION,
  severity: 'WARNING',
  jsonPayload,
});
const system = (textPayload) => ({
  logName: 'projects/p/logs/run.googleapis.com%2Fvarlog%2Fsystem',
  resource: REVISION,
  textPayload,
});

/** The entries that each section must find. The request lines are of the service; the others have the texts of Cloud Run. */
const TIMEOUT = stdout({
  method: 'POST',
  path: '/v1/vouchers/SUMMER-30/redemptions',
  status: 503,
  code: 'database_timeout',
  route: '/v1/vouchers/:code/redemptions',
  durationMs: 2600,
  dbMs: 2577.6,
  dbQueries: 7,
  poolWaitMs: 802.1,
  message: 'POST /v1/vouchers/SUMMER-30/redemptions 503 database_timeout',
});
const ENTRIES = {
  'availability-fast-burn': TIMEOUT,
  'availability-slow-burn': TIMEOUT,
  'latency-fast-burn': TIMEOUT,
  'latency-slow-burn': TIMEOUT,
  'database-connections': TIMEOUT,
  uptime: {
    logName: 'projects/p/logs/run.googleapis.com%2Frequests',
    resource: REVISION,
    httpRequest: { requestUrl: 'https://orders-123.europe-west1.run.app/health/ready', status: 503, latency: '0.1s' },
  },
  'liveness-failure': system(
    'LIVENESS HTTP probe failed 3 times consecutively for container "app-1" on path "/health/live".',
  ),
  'slow-start': stdout({ message: 'Waiting for database app at 10.0.0.2:5432 for 12 s: connect ECONNREFUSED' }),
  'high-memory': system('Memory limit of 512 MiB exceeded with 515 MiB used.'),
  'migration-failed': {
    resource: JOB,
    severity: 'ERROR',
    jsonPayload: { message: 'The migration AddColor has failed' },
  },
};

const root = mkdtempSync(join(tmpdir(), 'runbook-'));
let cloud;
let project;
before(async () => {
  mkdirSync(join(root, 'bin'));
  fillBin(join(root, 'bin'), []);
  cloud = await startCloud();
  project = addProject(cloud.state, 'my-project', { number: '123', apis: ['logging.googleapis.com'] });
});
after(async () => {
  await cloud.close();
  rmSync(root, { recursive: true });
});

describe('the commands of docs/runbook.md', () => {
  test('exist in each section of an alert', () => {
    assert.deepEqual(SECTIONS.map(({ id }) => id).toSorted(), Object.keys(ENTRIES).toSorted());
  });

  for (const { id, commands } of SECTIONS) {
    test(`find the log entries of ${id}, and none of a healthy service`, async () => {
      const [command] = commands;
      const words = command.replaceAll('SERVICE', 'orders').replaceAll('PROJECT', 'my-project');
      const run = () =>
        runScript('bash', ['-c', words], { env: { PATH: join(root, 'bin'), ...cloud.environment, HOME: root } });
      project.logs = [];
      log(
        cloud.state,
        project,
        stdout({ route: '/v1/me', status: 200, durationMs: 5, poolWaitMs: 0, message: 'GET /v1/me 200' }),
      );
      project.logs[0].severity = 'INFO';
      assert.deepEqual(await run(), { status: 0, stdout: '', stderr: '', output: '' });
      log(cloud.state, project, ENTRIES[id]);
      const { stdout: found } = await run();
      const { jsonPayload, textPayload, httpRequest } = ENTRIES[id];
      assert.match(found, new RegExp(RegExp.escape(String(jsonPayload?.message ?? textPayload ?? httpRequest.status))));
    });
  }
});
