// @actions/workflow-parser imports its schema without the attribute that Node requires: jest.config.mjs maps that import here.
export { default } from '../../node_modules/@actions/workflow-parser/dist/workflow-v1.0.min.json' with { type: 'json' };
