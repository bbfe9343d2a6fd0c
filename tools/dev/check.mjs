// `npm run check`: the checks that must pass before a push. Runs every step, also after a failure, and prints its duration.
import { runCommand, runNode } from '../cli.mjs';

/** Scripts of package.json. Each of them can also run on its own. */
const STEPS = [
  'format:check',
  'lint',
  'types',
  'unused',
  'secrets',
  'openapi:check',
  'openapi:breaking',
  'db:check',
  'test',
];

const USAGE = `Usage: npm run check [-- --fast] [-- --json]

Runs ${STEPS.join(', ')}.

  --fast  skips the tests
  --json  prints the steps as JSON

Exit codes: 0 if every step passes, 1 if one fails.`;

await runCommand(USAGE, ({ fast }) => {
  const results = STEPS.filter((step) => !fast || step !== 'test').map(runStep);
  console.log();
  for (const { step, passed, seconds } of results) {
    console.log(`${passed ? 'ok    ' : 'FAILED'} ${step.padEnd(16)} ${seconds.toFixed(1).padStart(6)} s`);
  }
  const failed = results.filter(({ passed }) => !passed).map(({ step }) => step);
  if (failed.length > 0) {
    console.error(`\nFailed: ${failed.join(', ')}. To rerun one: npm run ${failed[0]}`);
    process.exitCode = 1;
  }
  return { steps: results, failed };
});

function runStep(step) {
  console.log(`\n── ${step}`);
  const start = performance.now();
  const passed = runNode(['--run', step]);
  return { step, passed, seconds: (performance.now() - start) / 1000 };
}
