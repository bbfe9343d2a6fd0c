// Simulates an agent that builds and deploys a service by AGENTS.md and the skills, without a terminal. The workflows run against the
// stand-in.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, globSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { startCloud } from '../standin/cloud.mjs';
import { addProject } from '../standin/state.mjs';
import { fillBin, runScript } from '../standin/workbench.mjs';
import { freshCopy } from '../support/fresh-copy.mjs';
import { cleanUp, Project, TOOLS } from './proofs.mjs';

const GUIDES = ['AGENTS.md', ...globSync('.agents/skills/*/SKILL.md')];
const MAX_WORDS = 4_000;
const MAX_COMMANDS = 15;
const RUN = { workflow_run_id: 4711, html_url: 'https://github.com/acme/orders/actions/runs/4711' };

/** Sends the commands of `npm run deploy` to this process, and all others to the stand-in. */
const GH = `#!/usr/bin/env bash
case "$*" in
  *'{owner}/{repo}'* | 'run '*) curl --silent --fail --data-binary "$*" "$GITHUB" ;;
  *) exec "$(dirname "$0")/standin/gh" "$@" ;;
esac
`;

const guides = GUIDES.map((file) => readFileSync(file, 'utf8')).join('\n');
const folder = mkdtempSync(join(tmpdir(), 'agent-'));
const clone = freshCopy('agent');
let project, github, outcome;
let commands = 0;

before(async () => {
  mkdirSync(join(folder, 'standin'));
  fillBin(join(folder, 'standin'), TOOLS);
  fillBin(folder, TOOLS, ['gcloud', 'docker']);
  writeFileSync(join(folder, 'gh'), GH);
  chmodSync(join(folder, 'gh'), 0o755);
  project = new Project(await startCloud());
  project.cloud.state.github['acme/orders'] = { id: '4711', ownerId: '815', isAdministered: true, variables: {} };
  addProject(project.cloud.state, 'my-project', { number: '123', apis: [] });
  github = createServer((request, response) => void answerGh(request, response));
  await once(github.listen(0, '127.0.0.1'), 'listening');
});
after(async () => {
  github.close();
  clone.remove();
  await cleanUp();
});

const head = () => clone.run('git', 'rev-parse', 'HEAD').trim();

async function answerGh(request, response) {
  const command = await text(request);
  if (command.includes('/commits/main')) return response.end(head());
  const [, workflow] = /\/(deploy|rollback)\.yml\/dispatches/.exec(command) ?? [];
  if (workflow) {
    const repository = mkdtempSync(join(folder, 'checkout-'));
    clone.run('git', 'checkout-index', '--all', `--prefix=${repository}/`);
    outcome = workflow === 'deploy' ? project.deploy(head(), {}, { repository }) : project.rollBack({}, { repository });
    return response.end(JSON.stringify(RUN));
  }
  const { result } = await outcome;
  const [, target] = /^run download 4711 --name deployment --dir (.+)$/.exec(command) ?? [];
  if (target) writeFileSync(join(target, 'deployment.json'), project.cloud.state.artifacts.deployment);
  return response.writeHead(result === 'success' ? 200 : 500).end();
}

/** Runs a command of the guides. `as` replaces its placeholders. */
async function follow(line, as = line) {
  assert.ok(guides.includes(line), `no guide has the command: ${line}`);
  return run(as);
}

async function run(line) {
  commands += 1;
  const { NODE_TEST_CONTEXT: _, DATABASE_URL: __, ...rest } = process.env;
  const env = {
    ...rest,
    PATH: `${folder}:${process.env.PATH}`,
    STANDIN: project.cloud.url,
    GITHUB: `http://127.0.0.1:${github.address().port}`,
  };
  const { status, stdout, output } = await runScript('bash', ['-c', line], { cwd: clone.folder, env });
  assert.equal(status, 0, `${line}\n${output}`);
  return stdout;
}

/** Deploys the newest commit, and checks the result. */
async function deploys() {
  const { commit, digest, revision, url, verdict, traffic, page } = jsonOf(
    await follow('npm run deploy -- --watch --json'),
  );
  assert.match(digest, /^sha256:[0-9a-f]{64}$/);
  assert.match(url, /^http.*orders/);
  const expected = { commit: head(), verdict: 'success', traffic: [{ revision, percent: 100 }], page: RUN.html_url };
  assert.deepEqual({ commit, verdict, traffic, page }, expected);
  assert.equal(project.traffic, `${head()} 100`);
}

const jsonOf = (stdout) => JSON.parse(stdout.slice(stdout.indexOf('{')));

test('an agent builds and deploys a service', { timeout: 1_200_000 }, async (context) => {
  const { name } = jsonOf(await follow('npm run init -- --name=orders --remove-example --yes --json'));
  assert.equal(name, 'orders');
  await follow('npm run generate -- parcels --fields=code:string:unique,weightGrams:int --tools');
  await follow('npx nest generate tool parcels/print-label');
  await follow('npm run openapi');
  await follow('npm test -- parcels');
  // Without the tests of the platform, which another lane runs.
  const { failed } = jsonOf(await follow('npm run check', 'npm run check -- --fast --json'));
  assert.deepEqual(failed, []);
  await run('git add --all && git commit --no-verify --quiet --message "feat: parcels"');

  const bootstrap = 'deploy/bootstrap.sh --project PROJECT --region REGION --repo OWNER/NAME --create-database --yes';
  const filled = bootstrap
    .replace('PROJECT', 'my-project')
    .replace('REGION', 'europe-west1')
    .replace('OWNER/NAME', 'acme/orders');
  await follow(`${bootstrap} --dry-run`, `${filled} --dry-run`);
  assert.deepEqual(project.state.services, {});
  await follow(bootstrap, filled);

  await deploys();
  const first = head();
  await run('git commit --allow-empty --no-verify --quiet --message "fix: labels"');
  await deploys();
  const result = jsonOf(await follow('npm run deploy -- --rollback --watch --json'));
  assert.deepEqual([result.verdict, result.commit], ['success', first]);
  assert.equal(project.traffic, `${first} 100`);

  const words = guides.split(/\s+/).length;
  context.diagnostic(`${words} words read, ${commands} commands run`);
  assert.ok(words < MAX_WORDS, `${words} words`);
  assert.ok(commands < MAX_COMMANDS, `${commands} commands`);
});
