import { readFileSync } from 'node:fs';
import { convertWorkflowTemplate, NoOperationTraceWriter, parseWorkflow } from '@actions/workflow-parser';
import { describe, expect, it } from '@jest/globals';
import { readWorkflow, workflows } from '../support/workflows.js';

/** What GitHub would say of a workflow when it is pushed: it is GitHub's own parser. */
async function errorsOf(content: string): Promise<string[]> {
  const { context, value } = parseWorkflow({ name: 'workflow', content }, new NoOperationTraceWriter());
  if (value) await convertWorkflowTemplate(context, value);
  return context.errors.getErrors().map(({ message }) => message);
}

describe.each(workflows)('%s', (name) => {
  it('is accepted by GitHub', async () => {
    expect(await errorsOf(readFileSync(`.github/workflows/${name}`, 'utf8'))).toEqual([]);
  });

  it('gives its jobs no permission but their own, and says which runs exclude each other', () => {
    const { permissions, concurrency } = readWorkflow(name);
    expect(permissions).toEqual({});
    expect(concurrency).toHaveProperty('group');
  });
});

it.each([
  ['a field that there is not', 'timeout-minutes: 20', 'timeout-minute: 20'],
  ['a job that there is not', 'needs: test', 'needs: tests'],
  ['a context that there is not', 'steps.build.outputs', 'stepz.build.outputs'],
  ['an expression that does not end', '${{ github.sha }} to', '${{ github.sha to'],
])('%s would be refused', async (_, right, wrong) => {
  const deploy = readFileSync('.github/workflows/deploy.yml', 'utf8');
  expect(await errorsOf(deploy.replace(right, wrong))).not.toEqual([]);
});
