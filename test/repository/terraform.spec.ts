import { readFileSync } from 'node:fs';
import { expect, it } from '@jest/globals';
import { readGrants } from '../../tools/doctor/lists.mjs';
import { terraformTable } from '../../tools/doctor/terraform.mjs';

/** The cells of each row, without the line under the header. */
const cellsOf = (table: string) =>
  table
    .split('\n')
    .map((row) => row.split('|').flatMap((cell) => cell.trim() || []))
    .filter(([first]) => !/^-+$/.test(first!));

it('docs/deployment/terraform.md has the output of `npm run doctor -- --terraform --markdown`', () => {
  const [table] = /^\| option .*(?:\n\|.*)+/m.exec(readFileSync('docs/deployment/terraform.md', 'utf8'))!;
  expect(cellsOf(table)).toEqual(cellsOf(terraformTable()));
});

it('the table has every grant of deploy/grants.txt under a separate address', () => {
  const addresses = cellsOf(terraformTable()).map(([, address]) => address!);
  expect(addresses.filter((address) => address.includes('_iam_member.'))).toHaveLength(readGrants().length);
  expect(new Set(addresses).size).toBe(addresses.length);
});
