import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';

/**
 * The actions that may run in a job that can sign in, each at a commit that a person has read, with the reason. Such an
 * action must run only its own code: a pinned action can still download a script from a mutable address. Read the new
 * version before you change a commit here.
 */
const TRUSTED: Record<string, string> = {
  'actions/attest@1e69f48acb82d1966a394da916b4c1698aa569d6': 'signs the provenance',
  'actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1': 'checks out the commit',
  'actions/upload-artifact@bbbca2ddaa5d8feaa63e36b76fdaad77386f024f': 'stores the SBOM',
  'google-github-actions/auth@7c6bc770dae815cd3e89ee6cdf493a5fab2cc093': 'signs in',
  'google-github-actions/setup-gcloud@aa5489c8933f4cc7a4f7d45035b3b1440c9c10db':
    'downloads the version of gcloud that the workflow names, from Google',
};

interface Step {
  uses?: string;
  run?: string;
}
interface Job {
  uses?: string;
  permissions?: string | Record<string, string>;
  container?: string | { image: string };
  services?: Record<string, { image: string }>;
  steps?: Step[];
}
interface Workflow {
  env?: unknown;
  permissions?: Job['permissions'];
  jobs: Record<string, Job>;
}
type Read = (file: string) => string;

const WORKFLOWS = '.github/workflows';
const readFile: Read = (file) => readFileSync(file, 'utf8');

/** Whether a job can get credentials: an ID token of GitHub, a secret or a key. */
function canSignIn(workflow: Workflow, job: Job): boolean {
  const permissions = job.permissions ?? workflow.permissions;
  if (permissions === 'write-all') return true;
  if (typeof permissions === 'object' && permissions['id-token'] === 'write') return true;
  return /\bsecrets\b(?!\.GITHUB_TOKEN\b)|credentials_json/.test(JSON.stringify([workflow.env, job]));
}

/** The code of steps that is not trusted, including the steps of the repository's composite actions. */
function untrusted(steps: Step[], read: Read): string[] {
  return steps.flatMap(({ uses, run }) => {
    if (run !== undefined)
      // The code of this commit, which shellcheck reads. Inline commands could download code.
      return /^deploy\/pipeline\/[\w-]+\.sh( --[\w-]+)*$/.test(run.trim()) ? [] : [run];
    if (uses?.startsWith('./')) {
      const { runs } = parse(read(`${uses}/action.yml`)) as { runs: { using: string; steps?: Step[] } };
      return runs.using === 'composite' ? untrusted(runs.steps ?? [], read) : [uses];
    }
    if (uses?.startsWith('docker://')) return isPinnedImage(uses) ? [] : [uses];
    return uses !== undefined && uses in TRUSTED ? [] : [String(uses)];
  });
}

function unpinnedImages({ container, services = {} }: Job): string[] {
  const containers = [...Object.values(services), ...(container ? [container] : [])];
  const images = containers.map((used) => (typeof used === 'string' ? used : used.image));
  return images.filter((image) => !isPinnedImage(image));
}

const isPinnedImage = (image: string) => /@sha256:[\da-f]{64}$/.test(image);

/** The code that is not trusted, in the jobs of a workflow that can sign in. */
function findings(text: string, read = readFile): string[] {
  const workflow = parse(text) as Workflow;
  const jobs = Object.values(workflow.jobs).filter((job) => canSignIn(workflow, job));
  return jobs.flatMap((job) => untrusted(job.steps ?? [], read).concat(job.uses ?? [], unpinnedImages(job)));
}

describe.each(readdirSync(WORKFLOWS))('%s', (name) => {
  const text = readFile(`${WORKFLOWS}/${name}`);

  it('runs only trusted code in jobs that can sign in', () => {
    expect(findings(text)).toEqual([]);
  });

  it('names every docker:// image by its digest', () => {
    const images = [...text.matchAll(/docker:\/\/[^\s'"]+/g)].map(([image]) => image);
    expect(images.filter((image) => !isPinnedImage(image))).toEqual([]);
  });
});

describe('deploy/pipeline', () => {
  it.each(readdirSync('deploy/pipeline'))('%s downloads only files with a checksum', (name) => {
    const code = readFile(`deploy/pipeline/${name}`).replaceAll(/^\s*#.*$/gm, '');
    const downloads = /\b(curl|wget|npx|npm (ci|exec|install)|pipx?|go (install|run))\b/.test(code);
    expect(downloads && !code.includes('sha256sum --check')).toBe(false);
  });
});

describe('the check of trusted actions', () => {
  const CHECKOUT = 'actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1';
  const SIGN_IN = 'permissions: { id-token: write }';
  const job = (step: string, access = SIGN_IN) => `jobs: { deploy: { ${access}, steps: [${step}] } }`;
  const composite: Read = () => `runs: { using: composite, steps: [{ uses: evil/action@${'0'.repeat(40)} }] }`;

  it.each([
    ['an unlisted action', job(`{ uses: anchore/sbom-action@${'e'.repeat(40)} }`)],
    ['a listed action at another commit', job(`{ uses: actions/checkout@${'e'.repeat(40)} }`)],
    ['a listed action at a tag', job('{ uses: actions/checkout@v7 }')],
    ['an image by tag', job('{ uses: "docker://ghcr.io/ossf/scorecard-action:v2.4.4" }')],
    ['an inline command', job('{ run: "curl https://example.com/install.sh | sh" }')],
    ['a second command', job('{ run: "deploy/pipeline/build.sh && curl https://example.com" }')],
    ['a local action with an unlisted action', job('{ uses: ./.github/actions/x }')],
    ['a reusable workflow', `jobs: { deploy: { ${SIGN_IN}, uses: other/repo/.github/workflows/x.yml@main } }`],
    ['a container by tag', `jobs: { deploy: { ${SIGN_IN}, container: node:24, steps: [] } }`],
    ['a job with a secret', job('{ uses: evil/action@main, with: { key: "${{ secrets.KEY }}" } }', 'env: {}')],
    ['a job with all secrets', job('{ uses: evil/action@main, with: { all: "${{ toJSON(secrets) }}" } }', 'env: {}')],
    ['permissions of the workflow', `{ ${SIGN_IN}, jobs: { deploy: { steps: [{ uses: evil/action@main }] } } }`],
    ['all permissions', job('{ uses: evil/action@main }', 'permissions: write-all')],
  ])('reports %s', (_, text) => {
    expect(findings(text, composite)).toHaveLength(1);
  });

  it.each([
    ['listed actions and scripts of the pipeline', job(`{ uses: ${CHECKOUT} }, { run: deploy/pipeline/build.sh }`)],
    ['an image by digest', job(`{ uses: "docker://alpine@sha256:${'a'.repeat(64)}" }`)],
    [
      'other actions in a job that cannot sign in',
      job('{ uses: evil/action@main }', 'permissions: { contents: read }'),
    ],
  ])('accepts %s', (_, text) => {
    expect(findings(text)).toEqual([]);
  });
});
