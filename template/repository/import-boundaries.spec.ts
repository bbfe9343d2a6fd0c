import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

const REJECTED: [file: string, imports: string][] = [
  ['src/platform/http/x.ts', '../../vouchers/vouchers.service.js'],
  ['src/platform/http/x.ts', '../../migrations/index.js'],
  ['src/platform/x.ts', '../app.module.js'],
  ['src/orders/x.ts', '../vouchers/vouchers.controller.js'],
  ['src/orders/x.ts', '../app.module.js'],
  ['src/orders/x.ts', '../migrations/index.js'],
  ['src/orders/x.ts', '../platform/platform.module.js'],
  ['src/orders/x.ts', '../platform/auth/auth.guard.js'],
  ['src/orders/x.ts', '../platform/auth/api-keys.service.js'],
  ['src/orders/x.ts', '../platform/new-folder/x.js'],
  ['src/orders/jobs/x.ts', '../../platform/auth/auth.guard.js'],
  ['src/orders/jobs/x.ts', '../../vouchers/vouchers.controller.js'],
  ['src/billing/payments/x.ts', '../invoices/invoices.controller.js'],
];

const ALLOWED: typeof REJECTED = [
  ['src/platform/http/x.ts', '../problems/problem.js'],
  ['src/platform/x.ts', './problems/problem.js'],
  ['src/orders/x.ts', './order.dto.js'],
  ['src/orders/x.ts', '../vouchers/voucher.dto.js'],
  ['src/orders/x.ts', '../vouchers/vouchers.service.js'],
  ['src/orders/x.ts', '../vouchers/vouchers.module.js'],
  ['src/orders/x.ts', '../vouchers/voucher.entity.js'],
  ['src/orders/jobs/x.ts', '../order.problems.js'],
  ['src/orders/jobs/x.ts', '../../vouchers/voucher.problems.js'],
  ['src/billing/payments/x.ts', '../../platform/problems/problem.js'],
];

/** The files of the platform that its README lists as names for features. */
const documented = [
  ...readFileSync('src/platform/README.md', 'utf8')
    .split('## Names for features')[1]!
    .matchAll(/`([a-z/.-]+)\.ts`/g),
].map(([, file]) => `${file}.js`);

const folder = mkdtempSync(join(tmpdir(), 'boundaries-'));
beforeAll(() => cpSync('.oxlintrc.json', join(folder, '.oxlintrc.json')));
afterAll(() => rmSync(folder, { recursive: true }));

/** Lints a file with one import, and returns whether the boundary rule reports it. */
function isRejected(file: string, imports: string): boolean {
  const path = join(folder, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `export * from '${imports}';\nexport const later = import('${imports}');\n`);
  const bin = resolve('node_modules/.bin'); // oxlint starts tsgolint from PATH
  const { stdout } = spawnSync(join(bin, 'oxlint'), ['--format=json', file], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` },
  });
  rmSync(path);
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: { code: string }[] };
  const count = diagnostics.filter(({ code }) => code.includes('no-restricted-imports')).length;
  if (count === 1) throw new Error(`${file}: static and dynamic import of ${imports} differ`);
  return count > 0;
}

describe('import boundaries', () => {
  it.each(REJECTED)('reject %s importing %s', (file, imports) => {
    expect(isRejected(file, imports)).toBe(true);
  });

  it.each(ALLOWED)('allow %s importing %s', (file, imports) => {
    expect(isRejected(file, imports)).toBe(false);
  });

  it.each([...new Set(documented)])('allow a feature to import src/platform/%s', (file) => {
    expect(isRejected('src/orders/x.ts', `../platform/${file}`)).toBe(false);
  });

  it('list no file that src/platform/README.md does not name', () => {
    const list = [
      ...readFileSync('.oxlintrc.json', 'utf8').matchAll(/"!\*\*\/platform\/(.+?)\/(?:\{(.+?)\}|(\S+?))\.js"/g),
    ];
    const files = list.flatMap(([, area, several, one]) =>
      (several ?? one)!.split(',').map((name) => `${area}/${name}.js`),
    );
    expect(new Set(files)).toEqual(new Set(documented));
  });
});
