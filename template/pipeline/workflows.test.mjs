// The workflows and actions are valid, as GitHub's own parser sees them.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { fill } from './expressions.mjs';

// The parser imports JSON without the attribute that Node requires.
registerHooks({
  load: (url, context, next) =>
    next(url, url.endsWith('.json') ? { ...context, importAttributes: { type: 'json' } } : context),
});
const { convertWorkflowTemplate, NoOperationTraceWriter, parseWorkflow } = await import('@actions/workflow-parser');
const { parseAction } = await import('@actions/workflow-parser/actions/index');

const WORKFLOWS = '.github/workflows';
const ACTIONS = '.github/actions';
const read = (file) => readFileSync(file, 'utf8');
const messagesOf = ({ errors }) => errors.getErrors().map(({ message }) => message);

async function errorsOfWorkflow(content) {
  const { context, value } = parseWorkflow({ name: 'workflow', content }, new NoOperationTraceWriter());
  if (value) await convertWorkflowTemplate(context, value);
  return messagesOf(context);
}

const errorsOfAction = (content) =>
  messagesOf(parseAction({ name: 'action', content }, new NoOperationTraceWriter()).context);

for (const name of readdirSync(WORKFLOWS)) {
  test(`${name} is valid, has no default permissions and a concurrency group`, async () => {
    const content = read(`${WORKFLOWS}/${name}`);
    assert.deepEqual(await errorsOfWorkflow(content), []);
    const { permissions, concurrency } = parse(content);
    assert.deepEqual(permissions, {});
    assert.ok(concurrency.group);
  });
}

for (const name of ['deploy.yml', 'rollback.yml']) {
  test(`${name} signs in from the GitHub environment of its environment`, () => {
    const vars = { GCP_GITHUB_ENVIRONMENT: 'live', STAGING_GCP_GITHUB_ENVIRONMENT: 'try' };
    const { jobs } = parse(read(`${WORKFLOWS}/${name}`));
    const used = Object.values(jobs).filter(({ permissions }) => permissions['id-token'] === 'write');
    assert.ok(used.length > 0);
    for (const { environment } of used) {
      const selected = ['production', 'staging', 'other'].map((each) =>
        fill(environment, { vars, inputs: { environment: each } }),
      );
      assert.deepEqual(selected, ['live', 'try', '']);
    }
  });
}

for (const name of readdirSync(ACTIONS)) {
  test(`the action ${name} is valid`, () => {
    assert.deepEqual(errorsOfAction(read(`${ACTIONS}/${name}/action.yml`)), []);
  });
}

describe('the parser rejects', () => {
  for (const [title, valid, invalid] of [
    ['an unknown field', 'timeout-minutes: 20', 'timeout-minute: 20'],
    ['an unknown job', 'needs: test', 'needs: tests'],
    ['an unknown context', 'steps.build.outputs', 'stepz.build.outputs'],
    ['an open expression', '${{ github.sha }} to', '${{ github.sha to'],
  ]) {
    test(title, async () => {
      assert.notDeepEqual(await errorsOfWorkflow(read(`${WORKFLOWS}/deploy.yml`).replace(valid, invalid)), []);
    });
  }

  test('a context that an action does not have', () => {
    const content = read(`${ACTIONS}/gcp/action.yml`).replace('inputs.variables', 'vars.variables');
    assert.equal(errorsOfAction(content).length, 1);
  });
});
