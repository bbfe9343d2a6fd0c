/** @type {import('jest').Config} */
export default {
  roots: [
    // template
    '<rootDir>/template',
    // /template
    '<rootDir>/src',
    '<rootDir>/test',
  ],
  testRegex: String.raw`[./-](e2e-)?spec\.ts$`,
  globalSetup: '<rootDir>/test/support/global-setup.mjs',
  globalTeardown: '<rootDir>/test/support/global-teardown.mjs',
  // @nestjs/throttler is CommonJS, and Jest cannot require() an ES module that is being loaded: these are loaded first.
  setupFiles: ['@nestjs/common', '@nestjs/core'],
  testTimeout: 20_000,
  maxWorkers: '100%', // Jest leaves one core to itself, and the tests mostly wait
  // An ES module project: https://jestjs.io/docs/ecmascript-modules
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2024',
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: true },
        },
        module: { type: 'es6' },
      },
    ],
  },
  collectCoverageFrom: ['src/**/*.ts'],
};
