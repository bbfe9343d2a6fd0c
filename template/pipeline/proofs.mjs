// A project prepared by bootstrap.sh, and the outcomes of its deployments and rollbacks.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { explain } from '../../tools/doctor/explain.mjs';
import { startCloud } from '../standin/cloud.mjs';
import { idToken } from '../standin/permissions.mjs';
import { commitOf } from '../standin/platform.mjs';
import { addProject } from '../standin/state.mjs';
import { answer } from '../standin/traffic.mjs';
import { fillBin, runScript } from '../standin/workbench.mjs';
import { runWorkflow } from './runner.mjs';

/** The runner's tools that the steps use. */
export const TOOLS = [
  ...[
    'awk',
    'basename',
    'cat',
    'cut',
    'date',
    'dirname',
    'envsubst',
    'grep',
    'gzip',
    'head',
    'jq',
    'mktemp',
    'paste',
    'rm',
    'sed',
    'sort',
  ],
  ...['sha256sum', 'tac', 'tail', 'tar', 'tee', 'tr', 'wc'],
];
/** Shortens the waits, because the stand-in responds immediately. */
const NO_WAITING = {
  LOG_DELAY_SECONDS: '0',
  START_TIMEOUT_SECONDS: '0',
  TAG_TIMEOUT_SECONDS: '0',
  TRAFFIC_TIMEOUT_SECONDS: '0',
  VERIFY_TIMEOUT_SECONDS: '0',
};

export const COMMITS = ['a', 'b', 'c'].map((letter) => letter.repeat(40));
export const DEPLOYER = 'orders-deploy@my-project.iam.gserviceaccount.com';
const urlOf = (role, password) => `postgresql://orders_${role}:${password}@db.example/orders`;
const URLS = { runtime: urlOf('runtime', 'first-secret'), migrator: urlOf('migrator', 'second-secret') };
const WORKFLOWS = '.github/workflows';

const root = mkdtempSync(join(tmpdir(), 'pipeline-'));
const bin = join(root, 'bin');
mkdirSync(bin);
fillBin(bin, TOOLS);
symlinkSync(process.execPath, join(bin, 'node'));
writeFileSync(join(bin, 'npm'), '#!/usr/bin/env bash\n[[ $* != "$NPM_FAILS" ]]\n');
chmodSync(join(bin, 'npm'), 0o755);
const syft = installSyft();
/** A checkout of this repository without files that no step reads, because a test run copies it hundreds of times. */
const repository = join(root, 'repository');
const UNREAD = ['src/platform', 'src/vouchers', 'template', 'test'].map((folder) => `:!${folder}`);
const { stdout: tracked } = spawnSync(
  'git',
  ['ls-files', '--cached', '--others', '--exclude-standard', '--', '.', ...UNREAD],
  { encoding: 'utf8' },
);
for (const file of tracked.split('\n').filter((name) => lstatSync(name, { throwIfNoEntry: false })?.isFile()))
  cpSync(file, join(repository, file));
for (const [role, url] of Object.entries(URLS)) writeFileSync(join(root, role), url);

/**
 * Serves a release of Syft, which writes its arguments in place of an SBOM. All other requests go to the real curl.
 *
 * @returns {string} its checksum
 */
function installSyft() {
  const folder = join(root, 'syft');
  mkdirSync(folder);
  writeFileSync(join(folder, 'syft'), '#!/usr/bin/env bash\necho "syft $*" | tee "${4#*=}"\n');
  chmodSync(join(folder, 'syft'), 0o755);
  spawnSync('tar', ['--create', '--gzip', '--file', join(root, 'syft.tar.gz'), '--directory', folder, 'syft']);
  const curl = realpathSync(join(bin, 'curl'));
  rmSync(join(bin, 'curl'));
  writeFileSync(
    join(bin, 'curl'),
    `#!/usr/bin/env bash
[[ \${!#} == https://github.com/anchore/syft/releases/* ]] || exec ${curl} "$@"
while [[ $1 != --output ]]; do shift; done
cat '${root}/syft.tar.gz' >"$2"
`,
  );
  chmodSync(join(bin, 'curl'), 0o755);
  return createHash('sha256')
    .update(readFileSync(join(root, 'syft.tar.gz')))
    .digest('hex');
}

/** Returns a checkout with these lines at the end of deploy/settings.txt. */
export function checkoutWith(settings) {
  const folder = mkdtempSync(join(root, 'checkout-'));
  cpSync(repository, folder, { recursive: true });
  appendFileSync(join(folder, 'deploy/settings.txt'), `${settings.join('\n')}\n`);
  return folder;
}

/** Returns a checkout with the job `drafts`, as `nest generate job` writes it. */
export function checkoutWithJob() {
  const folder = checkoutWith([]);
  const manifest = readFileSync('tools/generators/job/files/deploy/__name__.yaml.template', 'utf8');
  mkdirSync(join(folder, 'deploy/jobs'));
  writeFileSync(join(folder, 'deploy/jobs/drafts.yaml'), manifest.replaceAll('<%= name %>', 'drafts'));
  appendFileSync(join(folder, 'deploy/schedules.txt'), 'drafts all Etc/UTC 0 3 * * *\n');
  return folder;
}

/** Running stand-ins. A failed test does not close its own. */
const clouds = new Set();
export async function cleanUp() {
  for (const cloud of clouds) await cloud.close();
  rmSync(root, { recursive: true, force: true });
}

export class Project {
  /** The output of all runs: logs and summaries. */
  static printed = '';
  #runs = 0;

  /** Creates a project and prepares it with bootstrap.sh. */
  static async bootstrapped(options) {
    const project = new Project(await startCloud());
    project.cloud.state.github['acme/orders'] = { id: '4711', ownerId: '815', isAdministered: true, variables: {} };
    const { instances } = addProject(project.cloud.state, 'my-project', {
      number: '123',
      apis: ['sqladmin.googleapis.com'],
    });
    instances.main = {
      connectionName: 'my-project:europe-west1:main',
      databaseVersion: 'POSTGRES_18',
      settings: { tier: 'db-custom-1-3840' },
    };
    await project.bootstrap(options);
    return project;
  }

  constructor(cloud) {
    this.cloud = cloud;
    clouds.add(cloud);
  }

  /** Returns a copy in the current state. */
  async copy() {
    const project = new Project(await startCloud());
    project.cloud.state = structuredClone(this.cloud.state);
    project.#runs = this.#runs;
    return project;
  }

  async bootstrap(options, cwd = '.') {
    const words = [
      'deploy/bootstrap.sh',
      '--project',
      'my-project',
      '--region',
      'europe-west1',
      '--repo',
      'acme/orders',
      '--cloud-sql',
      'main',
      '--set-vars',
    ];
    const urls = ['--database-url-file', join(root, 'runtime'), '--migrator-url-file', join(root, 'migrator')];
    const result = await runScript(join(bin, 'bash'), [...words, ...urls, ...options], {
      cwd,
      env: { PATH: bin, STANDIN: this.cloud.url, HOME: root },
    });
    if (result.status !== 0) throw new Error(result.output);
    Object.assign(this.variables, {
      APP_OIDC_ISSUERS: 'https://accounts.google.com',
      APP_OIDC_AUDIENCE: 'https://orders.example',
      APP_OIDC_SCOPE_GRANTS: `${DEPLOYER}=vouchers:read`,
    });
    return result;
  }

  get state() {
    return this.cloud.state.projects['my-project'];
  }
  /** The repository on GitHub. */
  get repository() {
    return this.cloud.state.github['acme/orders'];
  }
  get variables() {
    return this.repository.variables;
  }
  get service() {
    return this.state.services['europe-west1/orders'];
  }
  /** The share of the traffic by commit. */
  get traffic() {
    return this.service.statusTraffic
      .filter(({ percent }) => percent > 0)
      .map(
        ({ revisionName, percent }) =>
          `${commitOf(this.cloud.state, this.service.revisions[revisionName].template.spec.containers[0].image) ?? 'sample'} ${percent}`,
      )
      .join(', ');
  }

  /**
   * The Deploy workflow. `more` overrides properties of the run: github, vars, secrets, environment, stop, afterJob, and
   * head, the newest commit of main.
   */
  deploy(commit, inputs = {}, more = {}) {
    return this.#run('deploy.yml', commit, inputs, more);
  }
  rollBack(inputs = {}, more = {}) {
    return this.#run('rollback.yml', COMMITS[0], inputs, more);
  }

  async #run(file, commit, inputs, { github, vars, environment, head, ...more }) {
    this.#runs += 1;
    // A new run has the newest commit; a test of a rerun sets another one.
    this.repository.head = head ?? commit;
    const number = String(this.#runs);
    const jobs = await runWorkflow({
      cloud: this.cloud,
      bin,
      folder: mkdtempSync(join(root, 'run-')),
      repository,
      file: `${WORKFLOWS}/${file}`,
      inputs,
      vars: { ...this.variables, ...vars },
      github: {
        repository: 'acme/orders',
        repository_id: '4711',
        repository_owner_id: '815',
        run_attempt: '1',
        run_id: `10${number}`,
        run_number: number,
        sha: commit,
        ...github,
      },
      environment: { ...NO_WAITING, NPM_FAILS: '', SYFT_SHA256: syft, ...environment },
      ...more,
    });
    for (const { log, summary } of Object.values(jobs)) Project.printed += log + summary;
    return new Outcome(jobs);
  }

  /** Simulates requests to the service while the pipeline waits. */
  haveUsers() {
    const url = this.cloud.serviceUrl('123', 'europe-west1', 'orders');
    const headers = { 'user-agent': 'browser', authorization: `Bearer ${idToken(DEPLOYER, url, true)}` };
    this.cloud.meanwhile = () => {
      for (let count = 0; count < 30; count++) answer(this.cloud, { host: new URL(url).host, path: '/', headers });
    };
  }

  close() {
    clouds.delete(this.cloud);
    return this.cloud.close();
  }
}

class Outcome {
  constructor(jobs) {
    this.jobs = jobs;
  }

  get result() {
    return Object.values(this.jobs).find(({ result }) => result !== 'success')?.result ?? 'success';
  }
  /** The failed steps, as JOB / STEP. */
  get failed() {
    return Object.entries(this.jobs).flatMap(([job, { steps }]) =>
      steps.filter(({ outcome }) => !['success', 'skipped'].includes(outcome)).map(({ title }) => `${job} / ${title}`),
    );
  }
  get log() {
    return Object.values(this.jobs)
      .map(({ log }) => log)
      .join('');
  }
  get summary() {
    return Object.values(this.jobs)
      .map(({ summary }) => summary)
      .join('');
  }
  /** The doctor's first explanation of the failure. */
  get diagnosis() {
    return explain(this.#failure)[0]?.message;
  }
  /** The doctor's explanation, or else the error of the step. */
  get reason() {
    return this.diagnosis ?? /^::error.*?::(.+)$/m.exec(this.#failure)?.[1].trim();
  }
  get #failure() {
    const steps = Object.values(this.jobs).flatMap((job) => job.steps);
    return steps.find(({ outcome }) => outcome === 'failure')?.text ?? '';
  }
}
