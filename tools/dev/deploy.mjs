// `npm run deploy -- [--environment NAME] [--strategy canary] [--builder cloud-build] [--watch]`: starts the Deploy
// workflow on main, with the values that its page has, and follows it.
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const HELP = `npm run deploy -- [--environment NAME] [--strategy all-at-once|canary] [--builder runner|cloud-build] [--watch]`;

try {
  const { help, ...inputs } = readOptions();
  if (help) console.log(HELP);
  else deploy(inputs);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

function deploy({ environment, strategy, builder, watch }) {
  const commit = gh('api', 'repos/{owner}/{repo}/commits/main', '--jq', '.sha').trim();
  const { stdout: here } = spawnSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' });
  if (here.trim() !== commit)
    console.log(`Not what is checked out here, ${here.slice(0, 7)}, but what main is on GitHub:`);
  console.log(`Deploys ${commit.slice(0, 7)} to ${environment}, ${strategy}, built by ${builder}.`);

  // `gh workflow run` tells which run it has started only since gh 2.87.
  const inputs = [`inputs[environment]=${environment}`, `inputs[strategy]=${strategy}`, `inputs[builder]=${builder}`];
  const started = gh(
    ...['api', '--method', 'POST', 'repos/{owner}/{repo}/actions/workflows/deploy.yml/dispatches'],
    ...['--field', 'return_run_details=true', '--raw-field', 'ref=main'],
    ...inputs.flatMap((input) => ['--raw-field', input]),
  );
  const { workflow_run_id: id, html_url: page } = JSON.parse(started);
  console.log(page);
  if (watch) {
    const { status } = spawnSync('gh', ['run', 'watch', String(id), '--exit-status'], { stdio: 'inherit' });
    process.exitCode = status ?? 1;
  } else console.log(`Follow it: gh run watch ${id}`);
}

function readOptions() {
  try {
    const string = (value) => ({ type: 'string', default: value });
    return parseArgs({
      options: {
        environment: string('production'),
        strategy: string('all-at-once'),
        builder: string('runner'),
        watch: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new Error(`${error.message}\n${HELP}`, { cause: error });
  }
}

/** @returns what gh prints; in a repository with several remotes, `gh repo set-default` says which one is meant */
function gh(...args) {
  const { error, status, stdout, stderr } = spawnSync('gh', args, { encoding: 'utf8' });
  if (error?.code === 'ENOENT')
    throw new Error(
      'gh is not installed: https://cli.github.com. Or start Deploy on the page "Actions" of the repository.',
    );
  if (status === 4) throw new Error('gh is not signed in. Run: gh auth login');
  // GitHub names the input, or the option of it, that the workflow does not have.
  if (status !== 0) throw new Error(`GitHub did not start it: ${stderr.trim()}`);
  return stdout;
}
