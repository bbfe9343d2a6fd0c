// `npm run deploy`: starts the Deploy or Rollback workflow on main, with the inputs that its page on GitHub has.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../cli.mjs';

const USAGE = `Usage: npm run deploy [-- OPTIONS]

Starts the Deploy workflow for the newest commit of main on GitHub.

  --environment=NAME  production by default
  --strategy=NAME     all-at-once (default) or canary
  --builder=NAME      runner (default) or cloud-build
  --rollback          starts the Rollback workflow instead
  --revision=NAME     with --rollback: the revision to serve; the previous one by default
  --watch             waits for the workflow and prints the result: commit, digest, revision, URL, traffic, verdict
  --json              prints the result as JSON

Exit codes: 0 if the workflow was started, or with --watch if it succeeded; 1 if not.`;

await runCommand(USAGE, (options) => {
  const { environment = 'production', watch, rollback } = options;
  const { id, page } = rollback ? startRollback(environment, options) : startDeploy(environment, options);
  console.log(page);
  if (!watch) {
    console.log(`Follow it: gh run watch ${id}`);
    return { run: id, page, next: [`gh run watch ${id} --exit-status`] };
  }
  const { status } = spawnSync('gh', ['run', 'watch', String(id), '--exit-status'], {
    stdio: ['inherit', options.json ? process.stderr : 'inherit', 'inherit'],
  });
  const result = { run: id, page, ...resultOf(id) };
  if (!options.json)
    for (const [name, value] of Object.entries(result)) console.log(`${name}: ${JSON.stringify(value)}`);
  if (status === 0) return result;
  process.exitCode = 1;
  const next = `gh run view ${id} --log-failed | npm run doctor -- --explain`;
  console.error(`The workflow failed. Next: ${next}`);
  return { verdict: 'failure', ...result, next: [next] };
});

function startDeploy(environment, { strategy = 'all-at-once', builder = 'runner' }) {
  const commit = gh('api', 'repos/{owner}/{repo}/commits/main', '--jq', '.sha').trim();
  const { stdout: head } = spawnSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' });
  if (head.trim() !== commit)
    console.log(`The checked-out commit ${head.slice(0, 7)} is not the newest commit of main on GitHub.`);
  console.log(`Deploys ${commit.slice(0, 7)} to ${environment}, ${strategy}, built by ${builder}.`);
  return start('deploy.yml', { environment, strategy, builder });
}

function startRollback(environment, { revision = '' }) {
  console.log(`Rolls ${environment} back to ${revision || 'the previous revision'}.`);
  return start('rollback.yml', { environment, revision });
}

function start(workflow, inputs) {
  // `gh workflow run` returns the id of the run only since gh 2.87.
  const started = gh(
    ...['api', '--method', 'POST', `repos/{owner}/{repo}/actions/workflows/${workflow}/dispatches`],
    ...['--field', 'return_run_details=true', '--raw-field', 'ref=main'],
    ...Object.entries(inputs).flatMap(([name, value]) => ['--raw-field', `inputs[${name}]=${value}`]),
  );
  const { workflow_run_id: id, html_url: page } = JSON.parse(started);
  return { id, page };
}

/** Returns the result that deploy/pipeline/result.sh has written; nothing if the workflow ended before. */
function resultOf(id) {
  const folder = mkdtempSync(join(tmpdir(), 'deployment-'));
  try {
    const { status } = spawnSync('gh', ['run', 'download', String(id), '--name', 'deployment', '--dir', folder]);
    return status === 0 ? JSON.parse(readFileSync(join(folder, 'deployment.json'), 'utf8')) : {};
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Returns the output of gh. In a repository with several remotes, `gh repo set-default` selects one. */
function gh(...args) {
  const { error, status, stdout, stderr } = spawnSync('gh', args, { encoding: 'utf8' });
  if (error?.code === 'ENOENT')
    throw new Error(
      'gh is not installed. Install it from https://cli.github.com, or start Deploy on GitHub’s Actions page.',
    );
  if (status === 4) throw new Error('gh is not signed in. Run: gh auth login');
  // GitHub names an input or a value that the workflow does not have.
  if (status !== 0) throw new Error(`GitHub did not start the workflow: ${stderr.trim()}`);
  return stdout;
}
