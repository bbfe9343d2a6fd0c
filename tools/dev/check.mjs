// `npm run check`: the one gate before a push. Runs every step, also after one has failed, and says what each took.
import { spawnSync } from 'node:child_process';

/** Scripts of package.json: `npm run lint` is the step alone. */
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

const results = STEPS.map((step) => {
  console.log(`\n── ${step}`);
  const start = performance.now();
  const { status } = spawnSync(process.execPath, ['--run', step], { stdio: 'inherit' });
  return { step, passed: status === 0, seconds: (performance.now() - start) / 1000 };
});

console.log();
for (const { step, passed, seconds } of results) {
  console.log(`${passed ? 'ok    ' : 'FAILED'} ${step.padEnd(16)} ${seconds.toFixed(1).padStart(6)} s`);
}
const failed = results.filter(({ passed }) => !passed).map(({ step }) => step);
if (failed.length > 0) {
  console.error(`\nFailed: ${failed.join(', ')}`);
  process.exitCode = 1;
}
