// The rules of `npm run lint:docs` on sentences with one mistake each, and on sentences that resemble mistakes.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { describe, test } from 'node:test';

const FIXTURE = 'template/prose/fixture';
const STYLE = '.ci/vale/styles/Plain';

// FILE:LINE RULE
const EXPECTED = `
Dockerfile:3 Words
openapi.json:2 Words
bad.md:3 Openings
bad.md:5 Headings
bad.md:7 Words
bad.md:10 Answer
bad.md:12 Clauses
bad.md:14 American
bad.md:16 Negation
bad.md:18 Roles
bad.md:20 SentenceLength
bad.md:23 Software
bad.md:25 Spelling
bad.md:27 Openings
bad.md:31 Software
bad.md:34 Words
bad.sh:2 Words
bad.sh:6 Words
bad.sh:9 Software
bad.sh:9 Words
bad.sql:1 Words
bad.ts.template:1 Words
bad.ts:3 Words
bad.ts:4 Clauses
bad.ts:10 Words
bad.ts:13 Roles
bad.ts:17 Words
bad.yml:3 Words
bad.yml:5 Roles
bad.yml:5 Software
bad.yml:6 Words
`;

const lint = (args, env = process.env) =>
  spawnSync(process.execPath, ['.ci/vale/lint.mjs', ...args], { encoding: 'utf8', env });

describe('npm run lint:docs', () => {
  const { status, stdout, stderr } = lint(['--json', FIXTURE]);
  assert.equal(stderr, ''); // such as: vale is not on PATH. Install it: …
  const findings = JSON.parse(stdout).map(
    ({ file, line, rule }) => `${file.slice(FIXTURE.length + 1)}:${line} ${rule.replace('Plain.', '')}`,
  );

  test('reports each mistake at its line, and nothing else', () => {
    assert.deepEqual(findings.toSorted(), EXPECTED.trim().split('\n').toSorted());
    assert.equal(status, 1);
  });

  test('has a mistake for every rule', () => {
    const rules = readdirSync(STYLE).map((file) => file.replace('.yml', ''));
    assert.deepEqual(new Set(findings.map((finding) => finding.split(' ')[1])), new Set(rules));
  });

  test('passes without findings', () => {
    const { status: passed, stdout: output } = lint([`${FIXTURE}/clean.md`, `${FIXTURE}/clean.ts`]);
    assert.deepEqual([passed, output], [0, '']);
  });

  test('points at the first character of a mistake', () => {
    const { stdout: output } = lint([`${FIXTURE}/bad.ts`]);
    assert.match(
      output,
      /^template\/prose\/fixture\/bad\.ts:10:24 {2}Use 'reject' instead of 'refused'\. {2}Plain\.Words$/m,
    );
  });
});

test('npm run lint:docs without Vale fails with the command that installs it', () => {
  const { status, stderr } = lint([], { PATH: '' });
  assert.equal(status, 1);
  assert.match(stderr, /^vale is not on PATH\. Install it: go install \S+\n$/);
});
