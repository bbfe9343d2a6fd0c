// `npm run doctor -- --explain`: messages as people have reported them, and as the pipeline prints them.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { explain, knownMessages } from '../../tools/doctor/explain.mjs';

/** Lines of logs, and how the message starts that explains them: messages.txt has them under "# MESSAGE". */
const CASES = readFileSync(join(import.meta.dirname, 'messages.txt'), 'utf8')
  .split(/^# /m)
  .flatMap((group) => {
    const [expected, ...lines] = group.split('\n').filter(Boolean);
    return lines.map((line) => [line, expected]);
  });

describe('explains', () => {
  for (const [line, expected] of CASES) {
    test(line, () => {
      const [found, ...others] = explain(`before\n${line}\nafter`);
      assert.ok(found?.message.startsWith(expected), found?.message);
      assert.deepEqual(others, []);
    });
  }

  test('every entry of docs/deployment/troubleshooting.md has a case', () => {
    const explained = new Set(CASES.map(([line]) => explain(line)[0]?.message));
    const missing = knownMessages().filter(({ message }) => !explained.has(message));
    assert.deepEqual(missing, []);
    const headings = readFileSync('docs/deployment/troubleshooting.md', 'utf8').match(/^### /gm);
    assert.equal(knownMessages().length, headings.length);
  });

  for (const [title, message, reason] of [
    ['an error response in JSON', 'iam.serviceAccounts.getAccessToken', 'The caller does not have permission'],
    [
      'the reason in it instead of its beginning',
      'has not been used in project',
      'IAM Service Account Credentials API has not been used in project 123 before or it is disabled.',
    ],
  ]) {
    test(`a log downloaded from GitHub: ${title}`, () => {
      const lines = [
        'Error: google-github-actions/auth failed with: failed to generate Google Cloud OAuth 2.0 Access Token for a@p.iam.gserviceaccount.com: {',
        '  "error": {',
        '    "code": 403,',
        `    "message": "${reason}",`,
        '    "status": "PERMISSION_DENIED"',
        '  }',
        '}',
        '##[error]Process completed with exit code 1.',
      ];
      const found = explain(lines.map((line) => `2026-04-13T19:07:51.8298951Z ${line}`).join('\r\n'));
      assert.equal(found.length, 1);
      assert.ok(found[0].message.includes(message), found[0].message);
    });
  }

  test('nothing in a log without a known message', () => {
    const log = `
    npm warn deprecated inflight@1.0.6: This module is not supported
    added 729 packages in 27s
    Step 8/16 : RUN npm ci --omit=dev
    Successfully tagged europe-west1-docker.pkg.dev/p/r/i:c0ffee0
    The push refers to repository [europe-west1-docker.pkg.dev/p/r/i]
    c0ffee0: digest: sha256:0000 size: 2204
    Permission 'storage' is fine; permission denied (publickey).
    PASS test/platform/health.e2e-spec.ts (the database does not exist yet, and the port is 8080)
    Executing job orders-migrate... Done. Execution [orders-migrate-x] has successfully completed.
    ERROR: (gcloud.run.jobs.execute) The execution failed.
    ERROR: Forbidden
    Error: Process completed with exit code 1.
    GET /health/startup: 200
    All traffic is back at orders-1; orders-2 has none.`;
    assert.deepEqual(explain(log), []);
  });

  test('each message once, in the order of the log', () => {
    const log = `error: sorry, too many clients already\nerror: read ECONNRESET\nerror: sorry, too many clients already`;
    assert.deepEqual(
      explain(log).map(({ line }) => line),
      ['error: sorry, too many clients already', 'error: read ECONNRESET'],
    );
  });
});

describe('prints', () => {
  const run = (input, ...args) =>
    spawnSync(process.execPath, ['tools/doctor/doctor.mjs', '--explain', ...args], { input, encoding: 'utf8' });
  const log = '\u001B[31merror: sorry, too many clients already\u001B[0m\n';
  const [{ message, cause, fix }] = explain(log);

  test('text, and ends with 0', () => {
    const { status, stdout } = run(log);
    assert.equal(status, 0);
    assert.equal(
      stdout,
      `${message}\n  line:   error: sorry, too many clients already\n  cause:  ${cause}\n  fix:    ${fix}\n\n`,
    );
  });

  test('Markdown with --markdown', () => {
    const { stdout } = run(log, '--markdown');
    assert.equal(stdout, `**${message}**\n\n> error: sorry, too many clients already\n\n${cause} ${fix}\n\n`);
  });

  test('JSON with --json', () => {
    assert.deepEqual(JSON.parse(run(log, '--json').stdout), [{ message, cause, fix }]);
  });

  test('where to look when no message is known, and ends with 1', () => {
    const { status, stdout } = run('all is well');
    assert.match(stdout, /^No known message in this log/);
    assert.equal(status, 1);
    assert.deepEqual([run('all is well', '--json').stdout, run('', '--json').status], ['[]\n', 1]);
  });
});
