import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

const COMMIT = 'abc1234567890abc1234567890abc1234567890a';
const PAGE = 'https://github.com/acme/orders/actions/runs/4711';

/** A gh stub that records its arguments and prints GitHub's responses. */
const GH = `#!/bin/sh
echo "$*" >>"$CALLS"
case "$*" in
  *commits/main*) [ "$SIGNED_IN" = yes ] || { echo 'To get started with GitHub CLI, please run: gh auth login' >&2; exit 4; }; echo ${COMMIT} ;;
  *'environment]=nowhere'*) echo 'HTTP 422: Provided value "nowhere" for input "environment" not in the list of allowed values' >&2; exit 1 ;;
  *dispatches*) echo '{ "workflow_run_id": 4711, "html_url": "${PAGE}" }' ;;
  'run watch 4711 --exit-status') echo watching; exit "$RESULT" ;;
  'run download 4711 --name deployment --dir '*) [ "$RESULT" = 0 ] || exit 1; echo '{ "commit": "${COMMIT}", "verdict": "success" }' >"$7/deployment.json" ;;
esac
`;

describe('npm run deploy', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'gh-'));
    writeFileSync(join(folder, 'gh'), GH);
    chmodSync(join(folder, 'gh'), 0o755);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const calls = () =>
    existsSync(join(folder, 'calls')) ? readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n') : [];

  function deploy(args: string[] = [], env: NodeJS.ProcessEnv = {}) {
    return new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
      const PATH = `${folder}:/usr/bin:/bin`;
      execFile(
        process.execPath,
        ['tools/dev/deploy.mjs', ...args],
        { env: { PATH, CALLS: join(folder, 'calls'), SIGNED_IN: 'yes', RESULT: '0', ...env } },
        (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
      );
    });
  }

  it('starts the workflow on main and prints the commit and the URL of the run', async () => {
    const { code, stdout } = await deploy();
    expect(code).toBe(0);
    expect(stdout).toContain('Deploys abc1234 to production, all-at-once, built by runner.');
    expect(stdout).toContain('is not the newest commit of main on GitHub');
    expect(stdout).toContain(`${PAGE}\nFollow it: gh run watch 4711`);
    expect(calls().at(-1)).toBe(
      'api --method POST repos/{owner}/{repo}/actions/workflows/deploy.yml/dispatches --field return_run_details=true --raw-field ref=main --raw-field inputs[environment]=production --raw-field inputs[strategy]=all-at-once --raw-field inputs[builder]=runner',
    );
  });

  it('passes its options to the workflow', async () => {
    await deploy(['--environment', 'staging', '--strategy', 'canary', '--builder', 'cloud-build']);
    expect(calls().at(-1)).toMatch(
      /inputs\[environment\]=staging .*inputs\[strategy\]=canary .*inputs\[builder\]=cloud-build$/,
    );
  });

  it.each(['0', '1'])('with --watch follows the run and exits with its code %s', async (RESULT) => {
    const { code } = await deploy(['--watch'], { RESULT });
    expect(code).toBe(Number(RESULT));
    expect(calls().at(-2)).toBe('run watch 4711 --exit-status');
  });

  it('with --json prints only the result to standard output', async () => {
    const { stdout, stderr } = await deploy(['--watch', '--json']);
    expect(JSON.parse(stdout)).toEqual({ run: 4711, page: PAGE, commit: COMMIT, verdict: 'success' });
    expect(stderr).toContain('watching');
    const failed = await deploy(['--watch', '--json'], { RESULT: '1' });
    expect(JSON.parse(failed.stdout)).toEqual({
      ...{ run: 4711, page: PAGE, verdict: 'failure' },
      next: ['gh run view 4711 --log-failed | npm run doctor -- --explain'],
    });
    const rejected = await deploy(['--json'], { SIGNED_IN: 'no' });
    expect(JSON.parse(rejected.stdout)).toEqual({ error: 'gh is not signed in. Run: gh auth login' });
  });

  it('with --rollback starts the Rollback workflow', async () => {
    await deploy(['--rollback', '--environment=staging', '--revision=orders-00007']);
    expect(calls().at(-1)).toMatch(
      /workflows\/rollback\.yml\/dispatches .*inputs\[environment\]=staging .*inputs\[revision\]=orders-00007$/,
    );
  });

  it.each([
    ['without gh', [], { PATH: dirname(process.execPath) }, 'gh is not installed'],
    ['when gh is not signed in', [], { SIGNED_IN: 'no' }, 'Run: gh auth login'],
    [
      'with a value that the workflow does not list',
      ['--environment', 'nowhere'],
      {},
      '"nowhere" for input "environment" not in the list',
    ],
    ['with an unknown option', ['--wait'], {}, "Unknown option '--wait'"],
  ])('%s prints the reason', async (_, args, env, message) => {
    const { code, stderr } = await deploy(args, env);
    expect(code).toBe(1);
    expect(stderr).toContain(message);
  });
});
