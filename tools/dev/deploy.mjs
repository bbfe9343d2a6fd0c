// `npm run deploy`: starts the Deploy workflow on main, with the inputs that its page on GitHub has.
import { spawnSync } from 'node:child_process';
import { runCommand } from '../cli.mjs';

const USAGE = `Usage: npm run deploy [-- OPTIONS]

Starts the Deploy workflow for the newest commit of main on GitHub.

  --environment=NAME  production by default
  --strategy=NAME     all-at-once (default) or canary
  --builder=NAME      runner (default) or cloud-build
  --watch             waits for the workflow

Exit codes: 0 if the workflow was started, or with --watch if it succeeded; 1 if not.`;

await runCommand(USAGE, (options) => {
  const { environment = 'production', strategy = 'all-at-once', builder = 'runner', watch } = options;
  const commit = gh('api', 'repos/{owner}/{repo}/commits/main', '--jq', '.sha').trim();
  const { stdout: head } = spawnSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' });
  if (head.trim() !== commit)
    console.log(`The newest commit of main on GitHub is not the one checked out here (${head.slice(0, 7)}).`);
  console.log(`Deploys ${commit.slice(0, 7)} to ${environment}, ${strategy}, built by ${builder}.`);

  // `gh workflow run` returns the id of the run only since gh 2.87.
  const inputs = [`inputs[environment]=${environment}`, `inputs[strategy]=${strategy}`, `inputs[builder]=${builder}`];
  const started = gh(
    ...['api', '--method', 'POST', 'repos/{owner}/{repo}/actions/workflows/deploy.yml/dispatches'],
    ...['--field', 'return_run_details=true', '--raw-field', 'ref=main'],
    ...inputs.flatMap((input) => ['--raw-field', input]),
  );
  const { workflow_run_id: id, html_url: page } = JSON.parse(started);
  console.log(page);
  if (!watch) return console.log(`Follow it: gh run watch ${id}`);
  const { status } = spawnSync('gh', ['run', 'watch', String(id), '--exit-status'], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
});

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
