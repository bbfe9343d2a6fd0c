import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { unportable } from '../../tools/doctor/dockerfile.mjs';
import { Env } from '../../src/platform/config/env.js';
import { type Job, readWorkflow, type Step, workflows } from '../support/workflows.js';

// What deployments to Cloud Run die of, held on the files. DEPLOYMENT.md, "Six lessons", tells each of them.

const read = (file: string) => readFileSync(file, 'utf8');
const matches = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, match]) => match!);
/** Without what is only said in comments, which quote what they warn of. */
const code = (file: string) => read(file).replaceAll(/^\s*#.*$/gm, '');
const scripts = readdirSync('deploy/pipeline').map((name) => `deploy/pipeline/${name}`);
const pipeline = [...scripts, 'deploy/cloudbuild.yaml', ...workflows.map((name) => `.github/workflows/${name}`)];
const bootstrap = code('deploy/bootstrap.sh');
const deploy = readWorkflow('deploy.yml');
const stepOf = (job: string, script: string) =>
  deploy.jobs[job]!.steps.find(({ run }) => run === `deploy/pipeline/${script}.sh`)!;

/** The commands of gcloud that a script has, such as `run services replace`. */
const gcloudCommands = (file: string) =>
  [...code(file).matchAll(/\bgcloud ((?:[a-z][a-z-]* )+)/g)].map(([, words]) => words!.trim());

describe('1. A workflow is asked nothing, and makes no infrastructure', () => {
  it('bootstrap enables the API of each command that the pipeline has', () => {
    const apis: Record<string, string> = {
      artifacts: 'artifactregistry',
      builds: 'cloudbuild',
      logging: 'logging',
      run: 'run',
      secrets: 'secretmanager',
    };
    const groups = new Set(scripts.flatMap(gcloudCommands).map((command) => command.split(' ')[0]!));
    groups.delete('auth'); // of this machine
    const lists = [...bootstrap.matchAll(/\bapis=['"](?:\$apis )?([a-z ]+)['"]/g)].map(([, names]) =>
      names!.split(' '),
    );
    const enabled = lists.flat();
    for (const group of groups) expect(enabled).toContain(apis[group]);
    for (const api of ['iam', 'iamcredentials', 'sts']) expect(enabled).toContain(api);
  });

  it('the pipeline changes what is there: it makes and opens nothing', () => {
    const made = scripts
      .flatMap(gcloudCommands)
      .filter((command) => /\b(create|enable|deploy|delete|add-iam-policy-binding)\b/.test(command));
    expect(made).toEqual([]);
    for (const file of pipeline) expect(code(file)).not.toMatch(/allow-unauthenticated|no-invoker-iam-check/);
  });
});

describe('2. Three keys, and no more than they open', () => {
  /** Role and resource of each line of the list that bootstrap goes by. */
  const grants = code('deploy/grants.txt')
    .trim()
    .split(/\n+/)
    .map((line) => line.split(/ +/))
    .map(([, , role = '', on = '']) => ({ role, on }));

  it('the roles that bootstrap grants are the ones that DEPLOYMENT.md lists', () => {
    const table = /## Who may do what.*?\n#/s.exec(read('DEPLOYMENT.md'))![0];
    const listed = matches(table, /`([a-z]+\.[A-Za-z.]+)`/g).map((role) => `roles/${role}`);
    expect(new Set(listed)).toEqual(new Set(grants.map(({ role }) => role)));
  });

  it('none of them is an administrator’s, but the narrowest that starts a build', () => {
    const roles = new Set(grants.map(({ role }) => role));
    const wide = [...roles].filter((role) => /\.(admin|owner|editor|\w+Admin)$/.test(role));
    expect(wide).toEqual(['roles/cloudbuild.builds.editor']);
  });

  it('on the project is granted only what can be granted nowhere else', () => {
    const onProject = grants.filter(({ on }) => ['project', 'cloud_sql'].includes(on)).map(({ role }) => role);
    expect(new Set(onProject)).toEqual(
      new Set([
        'roles/run.viewer',
        'roles/logging.viewer',
        'roles/cloudsql.client',
        'roles/cloudbuild.builds.editor',
        'roles/serviceusage.serviceUsageConsumer',
      ]),
    );
  });

  it('to act as an account is granted on the account', () => {
    const actAs = grants.filter(({ role }) => role === 'roles/iam.serviceAccountUser').map(({ on }) => on);
    expect(actAs).toEqual(['runtime', 'migrator', 'builder']);
  });
});

describe('3. The Dockerfile is for every builder', () => {
  it('is taken by every builder', () => {
    expect(unportable(read('docker/Dockerfile'))).toEqual([]);
  });

  it.each([
    'RUN --mount=type=cache,target=/home/node/.npm npm ci',
    'RUN npm ci \\\n  --mount=type=cache',
    'RUN <<EOF',
    'COPY <<-"EOF" /app/x',
    'COPY --link --from=build /app /app',
    'COPY --parents src /app',
    'COPY --chmod=644 src /app',
    'ADD --checksum=sha256:0 https://example.com/x /x',
    '# syntax=docker/dockerfile:1',
    'FROM --platform=$BUILDPLATFORM node',
    'HEALTHCHECK CMD true',
    'CMD node dist/main.js',
    'CMD ["dist/main.js", "--port", "$PORT"]',
    'ENTRYPOINT npm start',
    'USER nonroot',
  ])('would be refused with %s', (line) => {
    expect(unportable(`FROM node\n${line}\n`)).toHaveLength(1);
  });

  it('Cloud Build gets the same Dockerfile and the same argument', () => {
    const { steps } = parse(read('deploy/cloudbuild.yaml')) as { steps: { name: string; args: string[] }[] };
    expect(steps).toEqual([
      {
        name: 'gcr.io/cloud-builders/docker',
        args: [
          'build',
          '--file',
          'docker/Dockerfile',
          '--build-arg',
          'COMMIT_SHA=${_COMMIT_SHA}',
          '--tag',
          '${_IMAGE}',
          '.',
        ],
      },
    ]);
    expect(code('deploy/pipeline/build.sh')).toContain(
      'docker build --file docker/Dockerfile --build-arg COMMIT_SHA="$GITHUB_SHA"',
    );
  });
});

describe('4. One port', () => {
  const { PORT } = new Env();

  it.each([
    ['docker/Dockerfile', /^EXPOSE (\d+)$/gm],
    ['deploy/service.yaml', /containerPort: (\d+)/g],
    ['docker/compose.yaml', /127\.0\.0\.1:\d+:(\d+)/g],
    ['.env.example', /^PORT=(\d+)$/gm],
    ['README.md', /localhost:(\d+)/g],
    ['DEPLOYMENT.md', /localhost:(\d+)/g],
  ])('in %s is the one that the service listens on', (file, pattern) => {
    const ports = [...read(file).matchAll(pattern)].map(([, port]) => Number(port));
    expect(new Set(ports)).toEqual(new Set([PORT]));
  });
});

describe('5. The coat check: one image per commit, handed on by its digest', () => {
  it('nothing is called latest', () => {
    for (const file of [
      ...pipeline,
      'deploy/service.yaml',
      'deploy/migrate-job.yaml',
      'docker/Dockerfile',
      'docker/compose.yaml',
    ]) {
      expect(code(file)).not.toMatch(/[:/]latest\b|--to-latest|latestRevision/);
    }
  });

  it('is tagged with the commit that was tested', () => {
    expect(code('deploy/pipeline/build.sh')).toContain('image=$IMAGE_NAME:$GITHUB_SHA');
    expect(deploy.jobs.build!.needs).toBe('test');
    for (const { steps } of Object.values(deploy.jobs)) {
      // By default it is the commit of the run.
      expect(steps.filter(({ uses }) => uses?.startsWith('actions/checkout')).map((step) => step.with?.ref)).toEqual([
        undefined,
      ]);
    }
  });

  it('the digest of the build is what is migrated, deployed and told', () => {
    expect(deploy.jobs.build!.outputs).toEqual({ digest: '${{ steps.build.outputs.digest }}' });
    expect(stepOf('build', 'build').id).toBe('build');
    for (const [job, script] of [
      ['migrate', 'migrate'],
      ['deploy', 'candidate'],
    ] as const) {
      expect(deploy.jobs[job]!.needs).toContain('build');
      expect(stepOf(job, script).env).toEqual({ DIGEST: '${{ needs.build.outputs.digest }}' });
      expect(code(`deploy/pipeline/${script}.sh`)).toMatch(/^check_digest "\$DIGEST"$/m);
      expect(code(`deploy/pipeline/${script}.sh`)).toContain('IMAGE=$IMAGE_NAME@$DIGEST');
    }
    expect(code('deploy/pipeline/build.sh')).toMatch(/^check_digest "\$digest"\noutput digest "\$digest"$/m);
  });

  it('is deployed after it was migrated, and one run after the other', () => {
    expect(deploy.jobs.migrate!.needs).toBe('build');
    expect(deploy.jobs.deploy!.needs).toContain('migrate');
    expect(deploy.concurrency).toEqual({ group: 'deploy-${{ inputs.environment }}', 'cancel-in-progress': false });
  });
});

describe('6. What fails is seen where it fails', () => {
  it('Cloud Build writes its log into a bucket of ours, and the workflow streams it', () => {
    const build = code('deploy/pipeline/build.sh');
    expect(build).toContain('--gcs-log-dir="gs://$GCP_BUILD_LOG_BUCKET"');
    expect(build).not.toMatch(/--async|--suppress-logs/);
    expect(code('deploy/cloudbuild.yaml')).toMatch(/logging: GCS_ONLY/);
  });

  it.each(['migrate', 'candidate'])('%s shows the log of what it started, if that fails', (script) => {
    expect(code(`deploy/pipeline/${script}.sh`)).toMatch(/\n {2}show_log .*\n {2}fail /);
  });

  it('every job that meets the cloud ends with a summary, also when it has failed', () => {
    const { test: _, ...jobs } = { ...deploy.jobs, ...readWorkflow('rollback.yml').jobs };
    for (const { steps } of Object.values(jobs)) {
      expect(steps.at(-1)).toMatchObject({ run: 'deploy/pipeline/summary.sh', if: 'always()' });
    }
  });
});

describe('Probes, which test/repository/deploy.spec.ts holds to the service’s own numbers', () => {
  it.each(['startupProbe', 'livenessProbe', 'readinessProbe'])(
    'there is a %s, without a delay that every start waits for',
    (probe) => {
      const service = code('deploy/service.yaml');
      expect(service).toContain(`${probe}:`);
      expect(service).not.toContain('initialDelaySeconds');
    },
  );
});

describe('Keys: there is none', () => {
  const jobs: [string, Job][] = workflows.flatMap((name) =>
    Object.entries(readWorkflow(name).jobs).map(([id, job]): [string, Job] => [`${name} ${id}`, job]),
  );
  const steps = jobs.flatMap(([, job]) => job.steps);

  it('no workflow uses a secret', () => {
    for (const name of workflows) expect(code(`.github/workflows/${name}`)).not.toMatch(/\bsecrets\b|credentials_json/);
  });

  it('no output of a job has more than a digest in it', () => {
    for (const [, { outputs = {} }] of jobs)
      expect(Object.keys(outputs).filter((name) => name !== 'digest')).toEqual([]);
  });

  it.each(jobs)('%s has the permissions that it needs, and no other', (name, { permissions, steps: own }) => {
    const signsIn = own.some(({ uses }) => uses?.startsWith('google-github-actions/auth@'));
    expect(permissions?.['id-token'] ?? 'none').toBe(signsIn ? 'write' : 'none');
    const written = Object.entries(permissions!)
      .filter(([, access]) => access !== 'read')
      .map(([permission]) => permission);
    expect(written.filter((permission) => !['id-token', 'attestations'].includes(permission))).toEqual([]);
    if (!name.startsWith('deploy.yml')) expect(written).not.toContain('attestations');
  });

  it('whoever may push to another branch cannot deploy it', () => {
    expect(deploy.on).toEqual({ workflow_dispatch: expect.anything() });
    expect(readWorkflow('rollback.yml').on).toEqual({ workflow_dispatch: expect.anything() });
    expect(bootstrap).toMatch(/assertion\.ref=='\$main' && assertion\.event_name=='workflow_dispatch'/);
  });

  it('every action is pinned to a commit, with its version beside it', () => {
    const uses = workflows.flatMap((name) => read(`.github/workflows/${name}`).match(/uses: .*/g) ?? []);
    expect(uses.length).toBeGreaterThan(20);
    for (const line of uses) expect(line).toMatch(/^uses: [\w-]+\/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });

  it('an action has one version', () => {
    const pins = steps.flatMap(({ uses }) => (uses ? [uses] : []));
    const names = new Set(pins.map((pin) => pin.split('@')[0]));
    expect(new Set(pins).size).toBe(names.size);
  });

  it('no script gets a value but by its environment', () => {
    for (const { run = '' } of steps) expect(run).not.toContain('${{');
  });

  it('no token is left in the checkout, and every job ends', () => {
    for (const [, job] of jobs) expect(job['timeout-minutes']).toBeLessThanOrEqual(90);
    const checkouts = steps.filter(({ uses }: Step) => uses?.startsWith('actions/checkout@'));
    for (const checkout of checkouts) expect(checkout.with?.['persist-credentials']).toBe(false);
  });
});

describe('What else a deployment relies on', () => {
  const rollback = readWorkflow('rollback.yml');
  it('a roll-back waits for no deployment, and is not ended by the next one', () => {
    expect(rollback.concurrency).toEqual({ group: 'rollback-${{ inputs.environment }}', 'cancel-in-progress': false });
  });
  it('a token that Cloud Run lets in is made only where it checks callers', () => {
    for (const [{ steps }, id] of [
      [deploy.jobs.deploy!, 'candidate'],
      [rollback.jobs.rollback!, 'rollback'],
    ] as const)
      expect(steps.find((step) => step.id === 'invoker-token')?.if).toBe(`steps.${id}.outputs.private == 'true'`);
  });
  it('both builders make a plain image, and no index', () => {
    expect(code('deploy/pipeline/build.sh')).toContain('BUILDX_NO_DEFAULT_ATTESTATIONS=1 docker build');
  });
  it('the clean-up keeps what mark.sh marks', () => {
    const marks = matches(read('deploy/pipeline/mark.sh'), /^mark "([a-z]+-)/gm);
    const policies = JSON.parse(read('deploy/cleanup-policy.json')) as {
      action: object;
      condition?: { tagPrefixes?: string[] };
    }[];
    const keep = policies.filter(({ action }) => JSON.stringify(action).includes('KEEP'));
    expect(marks).toHaveLength(2);
    expect(keep.flatMap(({ condition }) => condition?.tagPrefixes ?? []).toSorted()).toEqual(marks.toSorted());
  });
});
