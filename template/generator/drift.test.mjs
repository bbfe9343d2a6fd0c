// Compares the example with the generator's output. Shared declarations must be identical, except for those in EXPECTED, so
// that a change of one requires the same change of the other.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { Tree } from '@angular-devkit/schematics';
import { SchematicTestRunner } from '@angular-devkit/schematics/testing/index.js';
import ts from 'typescript';

const FIELDS =
  'code:string:unique,description:text:optional,metadata:json,maxRedemptions:int,redemptions:int,expiresAt:datetime:optional,active:boolean';
const TIMESTAMP = 1795478400000;

const FILES = [
  'src/vouchers/voucher.dto.ts',
  'src/vouchers/voucher.entity.ts',
  'src/vouchers/voucher.problems.ts',
  'src/vouchers/vouchers.controller.ts',
  'src/vouchers/vouchers.module.ts',
  'src/vouchers/vouchers.service.ts',
  `src/migrations/${TIMESTAMP}-create-vouchers.ts`,
  'test/support/vouchers.ts',
];

/** Differences of the example: its limits and defaults, a check constraint and redemptions. */
const EXPECTED = {
  different: [
    ...['code', 'description', 'metadata', 'maxRedemptions', 'expiresAt', 'active'].map(
      (name) => `CreateVoucherDto.${name}`,
    ),
    ...['VOUCHER_SORTS', 'ListVouchersDto.sort', 'ListVouchersDto.q', 'VoucherDto.code', 'VoucherDto.redemptions'],
    ...['Voucher', 'Voucher.metadata', 'Voucher.redemptions', 'Voucher.active'],
    ...['VouchersController.update', 'VouchersModule'],
    ...[
      'SORT_KEYS',
      'VouchersService',
      'VouchersService.constructor',
      'VouchersService.list',
      `CreateVouchers${TIMESTAMP}.up`,
    ],
    ...['aVoucher', 'createVoucher'],
  ],
  onlyGenerated: ['CreateVoucherDto.redemptions'],
  onlyExample: [
    ...['ListVouchersDto.redeemable', 'VoucherCodeDto', 'VoucherCodeDto.code'],
    ...['RedeemVoucherDto', 'RedeemVoucherDto.reference', 'VoucherStatsDto', 'VoucherStatsDto.total'],
    ...['VoucherStatsDto.active', 'VoucherStatsDto.redeemable', 'VoucherStatsDto.redemptions'],
    ...['RedemptionDto', 'RedemptionDto.code', 'RedemptionDto.redemptions', 'RedemptionDto.remaining'],
    ...['RedemptionDto.reference', 'RedemptionDto.redeemedAt'],
    ...['Voucher.open', 'voucherOverRedeemed', 'voucherInactive', 'voucherExpired', 'voucherExhausted'],
    ...['VouchersController.stats', 'VouchersController.redeem'],
    ...[
      'REDEEMABLE',
      'BATCH_SIZE',
      'MAX_BATCHES',
      'CLOSE_EXPIRED',
      'REDEEM',
      'RedeemedRow',
      'closeBatch',
      'MANY_EXPIRED',
      'searchFor',
      'VouchersService.redemptions',
      'VouchersService.onModuleInit',
      'VouchersService.stats',
      'VouchersService.redeem',
      'VouchersService.closeExpired',
      'VouchersService.closeInBackground',
      'VouchersService.incrementRedemptions',
    ],
  ],
};

async function generate() {
  const tree = Tree.empty();
  tree.create('package.json', '{"type":"module"}');
  tree.create(
    'src/app.module.ts',
    `import { Module } from '@nestjs/common';\n\n@Module({ imports: [] })\nexport class AppModule {}\n`,
  );
  tree.create('src/migrations/index.ts', 'export const migrations = [];\n');
  tree.create('docs/problems.md', '| code | status | title | what to do |\n| --- | --- | --- | --- |\n');
  const runner = new SchematicTestRunner('@app/schematics', resolve('tools/generators/collection.json'));
  return runner.runSchematic('resource', { name: 'vouchers', fields: FIELDS, timestamp: TIMESTAMP }, tree);
}

/** Returns the declarations of a module and the members of its classes, by name. */
function membersOf(text) {
  const source = ts.createSourceFile('module.ts', text, ts.ScriptTarget.ESNext, true);
  const members = new Map();
  for (const statement of source.statements) {
    if (ts.isImportDeclaration(statement)) continue;
    if (!ts.isClassDeclaration(statement)) {
      const [declaration = statement] = statement.declarationList?.declarations ?? [];
      members.set(declaration.name.text, statement.getFullText().trim());
      continue;
    }
    const name = statement.name.text;
    const head = source.text.slice(statement.pos, statement.members.pos);
    members.set(name, head.trim());
    for (const member of statement.members) {
      members.set(`${name}.${member.name?.text ?? 'constructor'}`, member.getFullText().trim());
    }
  }
  return members;
}

void test('the example and the generated resource have identical text', async () => {
  const tree = await generate();
  const found = { different: [], onlyGenerated: [], onlyExample: [] };
  for (const file of FILES) {
    const example = membersOf(readFileSync(file, 'utf8'));
    const generated = membersOf(tree.readText(file));
    for (const [name, text] of generated) {
      if (!example.has(name)) found.onlyGenerated.push(name);
      else if (example.get(name) !== text) found.different.push(name);
    }
    found.onlyExample.push(...[...example.keys()].filter((name) => !generated.has(name)));
  }
  assert.deepEqual(found, EXPECTED);
});
