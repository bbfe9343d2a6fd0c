// `npm run doctor`: what would stop a start, a test or a deployment, and the command that mends it. It only looks.
// Without node_modules, since it is for fresh clones and for steps of the workflows, which have a bare checkout.
import { text } from 'node:stream/consumers';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fail } from './check.mjs';
import { explain } from './troubles.mjs';

const HELP = `npm run doctor -- [OPTION...]
  --cloud             looks at the project in Google Cloud, too, through gcloud
  --environment NAME  another one than production
  --project ID --region REGION --service NAME --repo OWNER/NAME  instead of the repository variables
  --json              for programs
  --explain <LOG      what is known of the messages in a log; with --markdown for a page`;

process.chdir(join(import.meta.dirname, '..', '..'));
try {
  const options = readOptions();
  if (options.help) console.log(HELP);
  else await (options.explain ? explainLog(options) : examine(options));
} catch (error) {
  console.error(error.message);
  process.exitCode = 2;
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      cloud: { type: 'boolean', default: false },
      environment: { type: 'string', default: 'production' },
      project: { type: 'string' },
      region: { type: 'string' },
      service: { type: 'string' },
      repo: { type: 'string' },
      json: { type: 'boolean', default: false },
      explain: { type: 'boolean', default: false },
      markdown: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  return values;
}

async function examine(options) {
  // Not at the top: what explains a run that failed should need as little as it can.
  const [{ local }, { repository }, { cloud }] = await Promise.all([
    import('./local.mjs'),
    import('./repository.mjs'),
    import('./cloud.mjs'),
  ]);
  const checks = [...local, ...repository, ...(options.cloud ? await cloud(options) : [])];
  const findings = await Promise.all(
    checks.map(async ({ id, run }) => {
      const { status, detail, fix = '' } = await attempt(run, options);
      return { id, status, detail, fix };
    }),
  );
  if (options.json) console.log(JSON.stringify({ checks: findings }, null, 2));
  else print(findings);
  if (findings.some(({ status }) => status === 'fail')) process.exitCode = 1;
}

/** A check that breaks, on a file that cannot be read, must not hide what the others have found. */
async function attempt(run, options) {
  try {
    return await run({ options });
  } catch (error) {
    return fail(`could not be checked: ${error.message}`, 'git status, and git diff: a file is not as it should be');
  }
}

function print(findings) {
  const width = Math.max(...findings.map(({ id }) => id.length));
  for (const { id, status, detail, fix } of findings) {
    console.log(`${status.padEnd(4)}  ${id.padEnd(width)}  ${detail}`);
    for (const line of fix.split('\n')) if (line) console.log(`${' '.repeat(width + 8)}→ ${line}`);
  }
  const count = (status) => findings.filter((finding) => finding.status === status).length;
  console.log(`\n${count('ok')} ok, ${count('warn')} warnings, ${count('fail')} failures`);
}

async function explainLog({ markdown }) {
  if (process.stdin.isTTY) console.error('Paste the log, and end it with Ctrl-D:');
  const found = explain(await text(process.stdin));
  if (found.length === 0) console.log('No message in it is one that is known here. DEPLOYMENT.md lists those.');
  for (const { line, trouble } of found) {
    const { message, cause, fix } = trouble;
    console.log(
      markdown
        ? `**${message}**\n\n> ${line.slice(0, 300)}\n\n${cause} ${fix}.\n`
        : `${message}\n  in:     ${line.slice(0, 300)}\n  cause:  ${cause}\n  fix:    ${fix}.\n`,
    );
  }
}
