// `npm run doctor`: diagnoses local, repository and deployment problems, with a fix for each. It changes nothing.
// It works without node_modules: fresh clones and the workflows' steps have none.
import { text } from 'node:stream/consumers';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fail } from './check.mjs';
import { explain } from './explain.mjs';

const HELP = `npm run doctor -- [OPTION...]
  --cloud             also inspects the Google Cloud project, with gcloud
  --environment NAME  default: production
  --project ID --region REGION --service NAME --repo OWNER/NAME  instead of the repository variables
  --json              prints JSON
  --terraform         prints Terraform's import blocks for the Google Cloud project; --markdown prints them as a table
  --explain <LOG      prints causes and fixes of known messages in a log; --json or --markdown formats them

Exit codes: 0 without failures, 1 with a failure or, with --explain, without a known message, 2 after invalid options.`;

const boolean = { type: 'boolean', default: false };
const string = { type: 'string' };
const OPTIONS = {
  ...{ cloud: boolean, environment: { type: 'string', default: 'production' } },
  ...{ project: string, region: string, service: string, repo: string },
  ...{ json: boolean, terraform: boolean, explain: boolean, markdown: boolean, help: boolean },
};

process.chdir(join(import.meta.dirname, '..', '..'));
try {
  const { values: options } = parseArgs({ options: OPTIONS });
  if (options.help) console.log(HELP);
  else if (options.terraform) await printImports(options);
  else await (options.explain ? explainLog(options) : examine(options));
} catch (error) {
  console.error(error.message);
  process.exitCode = 2;
}

async function examine(options) {
  // Imported here, so that --explain needs as little as possible after a failed run.
  const [{ local }, { repository }, { cloud }] = await Promise.all([
    import('./local.mjs'),
    import('./repository.mjs'),
    import('./cloud.mjs'),
  ]);
  const checks = { ...local, ...repository, ...(options.cloud ? await cloud(options) : {}) };
  const findings = await Promise.all(
    Object.entries(checks).map(async ([id, check]) => {
      const { status, detail, fix = '' } = await run(check, options);
      return { id, status, detail, fix };
    }),
  );
  if (options.json) console.log(JSON.stringify({ checks: findings }, null, 2));
  else print(findings);
  if (findings.some(({ status }) => status === 'fail')) process.exitCode = 1;
}

/** Runs a check. An error in one check, such as an unreadable file, must not hide the findings of the others. */
async function run(check, options) {
  try {
    return await check({ options });
  } catch (error) {
    return fail(`the check failed: ${error.message}`, 'git status and git diff: a file has unexpected content');
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

async function printImports(options) {
  const [{ Project }, { importBlocks, terraformTable }] = await Promise.all([
    import('./project.mjs'),
    import('./terraform.mjs'),
  ]);
  if (options.markdown) return console.log(terraformTable());
  const project = new Project(options);
  const { status, detail, fix } = await project.load();
  if (status === 'fail') throw new Error(`${detail} (${fix})`);
  console.log(importBlocks(project));
}

async function explainLog({ markdown, json }) {
  if (process.stdin.isTTY) console.error('Paste the log, then press Ctrl-D:');
  const found = explain(await text(process.stdin));
  if (found.length === 0) process.exitCode = 1;
  if (json)
    return console.log(
      JSON.stringify(
        found.map(({ message, cause, fix }) => ({ message, cause, fix })),
        null,
        2,
      ),
    );
  if (found.length === 0) console.log('No known message in this log. docs/deployment/troubleshooting.md lists them.');
  for (const { line, message, cause, fix } of found) {
    const excerpt = line.slice(0, 300);
    console.log(
      markdown
        ? `**${message}**\n\n> ${excerpt}\n\n${cause} ${fix}\n`
        : `${message}\n  line:   ${excerpt}\n  cause:  ${cause}\n  fix:    ${fix}\n`,
    );
  }
}
