import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { Env } from '../../src/platform/config/env.js';
import { actions, type Job, readAction, readWorkflow, workflows } from '../support/workflows.js';

// Rules of the pipeline beyond the checks of `npm run doctor`, which template/doctor/ tests.

const read = (file: string) => readFileSync(file, 'utf8');
const readCode = (file: string) => read(file).replaceAll(/^\s*#.*$/gm, '');
const deploy = readWorkflow('deploy.yml');
const rollback = readWorkflow('rollback.yml');
const jobs: [string, Job][] = workflows.flatMap((name) =>
  Object.entries(readWorkflow(name).jobs).map(([id, job]): [string, Job] => [`${name} ${id}`, job]),
);
const steps = [...jobs.flatMap(([, job]) => job.steps), ...actions.flatMap((file) => readAction(file).runs.steps)];
const stepOf = (job: string, script: string) =>
  deploy.jobs[job]!.steps.find(({ run }) => run === `deploy/pipeline/${script}.sh`)!;

describe('least privilege', () => {
  const grants = read('deploy/grants.txt')
    .match(/^[^#\s].*$/gm)!
    .map((row) => row.split(/ +/))
    .map(([, , role = '', resource = '']) => ({ role, resource }));

  it('grants one role that administers something: the narrowest that starts a build', () => {
    const roles = new Set(grants.map(({ role }) => role));
    const wide = [...roles].filter((role) => /\.(admin|owner|editor|\w+Admin)$/.test(role));
    expect(wide).toEqual(['roles/cloudbuild.builds.editor']);
  });

  it('grants on the project only roles that no smaller resource accepts', () => {
    const onProject = grants.filter(({ resource }) => ['project', 'cloud_sql'].includes(resource));
    expect(new Set(onProject.map(({ role }) => role))).toEqual(
      new Set([
        'roles/run.viewer',
        'roles/logging.viewer',
        'roles/cloudsql.client',
        'roles/cloudbuild.builds.editor',
        'roles/serviceusage.serviceUsageConsumer',
      ]),
    );
  });

  it('grants iam.serviceAccountUser on single accounts', () => {
    const actAs = grants.filter(({ role }) => role === 'roles/iam.serviceAccountUser');
    expect(actAs.map(({ resource }) => resource)).toEqual(['runtime', 'migrator', 'builder']);
  });

  it('never makes the service public', () => {
    for (const script of readdirSync('deploy/pipeline')) {
      expect(readCode(`deploy/pipeline/${script}`)).not.toMatch(/allow-unauthenticated|no-invoker-iam-check/);
    }
  });

  it.each(jobs)('%s has the permissions that it needs', (name, { permissions, steps: own }) => {
    const signsIn = own.some(({ uses }) => uses === './.github/actions/gcp');
    expect(permissions?.['id-token'] ?? 'none').toBe(signsIn ? 'write' : 'none');
    const written = Object.keys(permissions!).filter((permission) => permissions![permission] !== 'read');
    expect(written.filter((permission) => !['id-token', 'attestations'].includes(permission))).toEqual([]);
    if (!name.startsWith('deploy.yml')) expect(written).not.toContain('attestations');
  });

  it.each(['deploy.yml', 'rollback.yml'])('%s is only started by a person', (name) => {
    expect(readWorkflow(name).on).toEqual({ workflow_dispatch: expect.anything() });
  });
});

describe('builds', () => {
  it('use the same Dockerfile and arguments on the runner and on Cloud Build', () => {
    const { steps: builds } = parse(read('deploy/cloudbuild.yaml')) as { steps: { name: string; args: string[] }[] };
    const args = ['build', '--file', 'docker/Dockerfile', '--build-arg', 'COMMIT_SHA=${_COMMIT_SHA}'];
    expect(builds).toEqual([{ name: 'gcr.io/cloud-builders/docker', args: [...args, '--tag', '${_IMAGE}', '.'] }]);
    // An image without attestations: with them it would be an index.
    expect(readCode('deploy/pipeline/build.sh')).toContain(
      'BUILDX_NO_DEFAULT_ATTESTATIONS=1 docker build --file docker/Dockerfile --build-arg COMMIT_SHA="$GITHUB_SHA"',
    );
  });

  it.each(['README.md', 'docs/deployment/runtime.md'])('%s names the port of the service', (file) => {
    const ports = [...read(file).matchAll(/localhost:(\d+)/g)].map(([, port]) => Number(port));
    expect(new Set(ports)).toEqual(new Set([new Env().PORT]));
  });
});

describe('deployments', () => {
  it('build the tested commit', () => {
    expect(deploy.jobs.build!.needs).toBe('test');
    const checkouts = Object.values(deploy.jobs).flatMap((job) =>
      job.steps.filter(({ uses }) => uses?.startsWith('actions/checkout@')),
    );
    expect(checkouts).toHaveLength(3);
    // By default it checks out the commit of the run.
    for (const checkout of checkouts) expect(checkout.with).not.toHaveProperty('ref');
  });

  it('migrate and deploy by digest', () => {
    expect(deploy.jobs.build!.outputs).toEqual({ digest: '${{ steps.build.outputs.digest }}' });
    expect(stepOf('build', 'build').id).toBe('build');
    expect(deploy.jobs.deploy!.needs).toBe('build');
    for (const script of ['migrate', 'candidate']) {
      expect(stepOf('deploy', script).env).toEqual({ DIGEST: '${{ needs.build.outputs.digest }}' });
      expect(readCode(`deploy/pipeline/${script}.sh`)).toMatch(/^ *validate_digest "\$DIGEST"$/m);
    }
    expect(readCode('deploy/pipeline/build.sh')).toMatch(/^validate_digest "\$digest"\nset_output digest "\$digest"$/m);
  });

  it('validate the service, then migrate, then deploy', () => {
    const scripts = deploy.jobs.deploy!.steps.map(({ run }) => run?.replace('deploy/pipeline/', ''));
    const ordered = scripts.filter((script) => /^(candidate|migrate)/.test(script ?? ''));
    expect(ordered).toEqual(['candidate.sh --dry-run', 'migrate.sh', 'candidate.sh']);
  });

  it('run one at a time; a rollback does not wait for them', () => {
    const groupOf = (name: string) => ({ group: `${name}-\${{ inputs.environment }}`, 'cancel-in-progress': false });
    expect(deploy.concurrency).toEqual(groupOf('deploy'));
    expect(rollback.concurrency).toEqual(groupOf('rollback'));
  });

  it('request a token for Cloud Run only for a private service', () => {
    for (const [{ steps: own }, id] of [
      [deploy.jobs.deploy!, 'candidate'],
      [rollback.jobs.rollback!, 'target'],
    ] as const) {
      expect(own.find((step) => step.id === 'invoker-token')?.if).toBe(`steps.${id}.outputs.private == 'true'`);
    }
  });

  it('tag the images that the cleanup policy keeps', () => {
    const calls = read('deploy/pipeline/tag-images.sh').matchAll(/^tag_image "([a-z]+-)/gm);
    const policies = JSON.parse(read('deploy/cleanup-policy.json')) as {
      action: { type: string };
      condition?: { tagPrefixes?: string[] };
    }[];
    const kept = policies.filter(({ action }) => action.type === 'KEEP');
    const prefixes = kept.flatMap(({ condition }) => condition?.tagPrefixes ?? []);
    expect(prefixes.toSorted()).toEqual([...calls].map(([, prefix]) => prefix!).toSorted());
    expect(prefixes).toHaveLength(2);
  });
});

describe('failures', () => {
  it.each(['migrate', 'candidate'])('%s.sh prints the log of what it started', (script) => {
    expect(readCode(`deploy/pipeline/${script}.sh`)).toMatch(/\n {2}print_log .*\n {2}fail /);
  });

  it('every job that signs in ends with a summary', () => {
    const { test: _, ...signedIn } = { ...deploy.jobs, ...rollback.jobs };
    for (const job of Object.values(signedIn)) {
      expect(job.steps.at(-1)).toMatchObject({ run: 'deploy/pipeline/summary.sh', if: 'always()' });
    }
  });

  it('every job has a timeout', () => {
    for (const [, job] of jobs) expect(job['timeout-minutes']).toBeLessThanOrEqual(135);
  });
});

describe('secrets and injection', () => {
  it('job outputs contain only a digest', () => {
    const outputs = jobs.flatMap(([, job]) => Object.keys(job.outputs ?? {}));
    expect(outputs).toEqual(['digest']);
  });

  it('scripts get values through the environment', () => {
    for (const { run = '' } of steps) expect(run).not.toContain('${{');
  });

  it('checkouts store no token', () => {
    const checkouts = steps.filter(({ uses }) => uses?.startsWith('actions/checkout@'));
    for (const checkout of checkouts) expect(checkout.with?.['persist-credentials']).toBe(false);
  });

  it('pinned actions have a version in a comment, and one version each', () => {
    const files = [...workflows.map((name) => `.github/workflows/${name}`), ...actions];
    const lines = files.flatMap((file) => read(file).match(/uses: [^.\n].*/g) ?? []);
    expect(lines.length).toBeGreaterThan(20);
    for (const line of lines) expect(line).toMatch(/^uses: [\w-]+\/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
    const names = new Set(lines.map((line) => line.split('@')[0]));
    expect(new Set(lines).size).toBe(names.size);
  });
});
