// Runs the specs that prove the starter itself: `npm run test:template`.
import { resolve } from 'node:path';
import config from '../jest.config.mjs';

const [, e2e] = config.projects;

/** @type {import('jest').Config} */
export default {
  ...config,
  projects: [
    {
      ...e2e,
      rootDir: resolve(import.meta.dirname, '..'),
      displayName: 'template',
      roots: ['<rootDir>/template'],
      testMatch: ['<rootDir>/template/**/*.spec.ts'],
      moduleNameMapper: {
        ...e2e.moduleNameMapper,
        '^\\.\\./workflow-v1\\.0\\.min\\.json$': '<rootDir>/template/support/workflow-schema.mjs',
      },
    },
  ],
};
