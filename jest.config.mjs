import { availableParallelism } from 'node:os';

/** The settings of both projects. ES modules: https://jestjs.io/docs/ecmascript-modules */
const shared = {
  roots: ['<rootDir>/src', '<rootDir>/test'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '\\.ts$': [
      '<rootDir>/tools/build/jest-transform.mjs',
      {
        jsc: {
          target: 'es2024',
          parser: { syntax: 'typescript', decorators: true },
          experimental: { keepImportAttributes: true },
          transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: true },
        },
        module: { type: 'es6' },
      },
    ],
  },
};

/** Code that only runs in child processes or a browser, where Jest does not measure coverage, with the test that runs it. */
const UNMEASURED = [
  'src/main.ts', // test/platform/boot.e2e-spec.ts
  'src/migrate.ts', // test/platform/boot.e2e-spec.ts
  'src/api-keys.ts', // test/platform/api-keys.e2e-spec.ts
  'src/platform/auth/api-key-repository.ts', // test/platform/api-keys.e2e-spec.ts
  'src/platform/config/config.module.ts', // test/platform/boot.e2e-spec.ts
  'src/platform/lifecycle/assert-can-listen.ts', // test/platform/boot.e2e-spec.ts
  'src/platform/lifecycle/report-crashes.ts', // test/platform/boot.e2e-spec.ts
  'src/platform/lifecycle/run-job.ts', // the test of each generated job
  'src/platform/openapi/fold-error-responses.ts', // test/browser/docs.browser.mjs
  'src/platform/telemetry/console-span-processor.ts', // test/platform/telemetry/console.e2e-spec.ts
  'src/platform/telemetry/google-token.ts', // test/platform/telemetry/export.e2e-spec.ts
];

/** @type {import('jest').Config} */
export default {
  projects: [
    // Needs no build and no database.
    {
      ...shared,
      displayName: 'unit',
      testMatch: ['<rootDir>/src/**/*.spec.ts', '<rootDir>/test/{platform,repository}/**/*.spec.ts'],
    },
    // Starts PostgreSQL, and builds dist/ if it is stale.
    {
      ...shared,
      displayName: 'e2e',
      testMatch: ['<rootDir>/test/**/*.e2e-spec.ts'],
      globalSetup: '<rootDir>/test/support/global-setup.mjs',
      globalTeardown: '<rootDir>/test/support/global-teardown.mjs',
    },
  ],
  testTimeout: 20_000,
  collectCoverageFrom: ['src/**/*.ts', '!src/**/*.spec.ts', ...UNMEASURED.map((file) => `!${file}`)],
  coverageReporters: ['text', 'json-summary'],
  coverageThreshold: {
    './src/platform/': { lines: 90 },
    './src/platform/**/*.ts': { lines: 60 },
  },
  // By default Jest leaves one core unused, but the tests also wait: for timeouts, retries and programs.
  maxWorkers: Math.max(4, availableParallelism()),
};
