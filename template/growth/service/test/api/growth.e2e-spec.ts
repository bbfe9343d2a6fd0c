import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createTestApp, type TestApp } from '../support/test-app.js';

let sut: TestApp;

beforeAll(async () => {
  process.env.SYSTEM_IS_UP = 'yes';
  sut = await createTestApp();
});

afterAll(async () => {
  await sut.close();
});

describe('/v1/growth', () => {
  it.each(['asset', 'texts/welcome', 'document', 'json', 'worker', 'import', 'formats/tsv', 'packages', 'variable'])(
    'returns 200 for %s',
    async (path) => {
      const { status, body } = await sut.anonymous.get(`/v1/growth/${path}`);
      expect({ status, body }).toEqual({ status: 200, body: { result: expect.anything() } });
    },
  );
});
