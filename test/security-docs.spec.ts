import { readFileSync } from 'node:fs';
import { expect, it } from '@jest/globals';

it('docs/security.md names tests that exist', () => {
  const document = readFileSync('docs/security.md', 'utf8');
  // [auth](../test/auth.e2e-spec.ts): “a title”, “another”
  const references = [...document.matchAll(/\]\(\.\.\/([\w./-]+spec\.ts)\): ((?:“[^”]+”(?:, )?)+)/g)];
  expect(references.length).toBeGreaterThan(10);
  for (const [, file = '', titles = ''] of references) {
    const source = readFileSync(file, 'utf8');
    for (const [, title = ''] of titles.matchAll(/“([^”]+)”/g)) expect(source).toContain(title);
  }
});
