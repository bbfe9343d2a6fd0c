import { describe, expect, it } from '@jest/globals';
import type { ArgumentMetadata } from '@nestjs/common';
import { PartialType } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { IsBoolean, IsInt, IsOptional, IsString, ValidateNested } from 'class-validator';
import { Problem } from '../problems/problem.js';
import { IdDto } from './id.dto.js';
import { PageQueryDto } from './page-query.dto.js';
import { RequestValidationPipe } from './request-validation.pipe.js';
import { IsCalendarDate, IsDateTime, IsJsonObject, Length, OptionalNotNull, ParseBoolean } from './validators.js';

class AddressDto {
  @IsString()
  'street/number'!: string;
}

class OrderDto {
  @IsString()
  @Length(1, 10)
  code!: string;

  @IsOptional()
  @IsDateTime()
  dueAt?: Date | null;

  @IsOptional()
  @IsCalendarDate()
  day?: string | null;

  @OptionalNotNull()
  @IsJsonObject({ maxBytes: 20, maxDepth: 3 })
  metadata?: object;

  @OptionalNotNull()
  @ValidateNested()
  @Type(() => AddressDto)
  address?: AddressDto;

  @IsOptional()
  @ValidateNested({ each: true })
  @Type(() => AddressDto)
  others?: AddressDto[];
}

class UpdateOrderDto extends PartialType(OrderDto, { skipNullProperties: false }) {}

class ListOrdersDto extends PageQueryDto {
  @IsOptional()
  @ParseBoolean()
  @IsBoolean()
  paid?: boolean;
}

class CountDto {
  @IsInt()
  count!: number;
}

const pipe = new RequestValidationPipe();

function validate(value: unknown, metatype: ArgumentMetadata['metatype'] = OrderDto, type: 'body' | 'query' = 'body') {
  return pipe.transform(value, { type, metatype });
}

/** The `errors` of the problem that the pipe throws. */
async function errorsOf(...args: Parameters<typeof validate>) {
  const error: unknown = await validate(...args).catch((thrown: unknown) => thrown);
  if (!(error instanceof Problem)) throw new Error('The value was accepted');
  expect(error.details).toMatchObject({ status: 400, code: 'invalid_request' });
  return error.details.errors ?? [];
}

const pointersOf = async (...args: Parameters<typeof validate>) =>
  (await errorsOf(...args)).map(({ pointer }) => pointer).toSorted();

const nested = (levels: number, innermost: unknown = {}) =>
  JSON.parse('{"a":'.repeat(levels) + JSON.stringify(innermost) + '}'.repeat(levels));
const fields = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, 1]));

describe('RequestValidationPipe', () => {
  it('returns an instance of the DTO', async () => {
    const order = await validate({ code: 'A', dueAt: '2030-06-01T00:00:00.123+02:00' });
    expect(order).toBeInstanceOf(OrderDto);
    expect(order).toEqual({ code: 'A', dueAt: new Date('2030-05-31T22:00:00.123Z') });
  });

  it('reports every invalid field', async () => {
    const value = { code: 5, dueAt: 'soon', extra: 1, address: {} };
    expect(await pointersOf(value)).toEqual(['#/address/street~1number', '#/code', '#/dueAt', '#/extra']);
  });

  it('reports the part of the request and the first failed rule', async () => {
    expect(await errorsOf({ code: 5 })).toEqual([{ in: 'body', pointer: '#/code', detail: 'must be a string' }]);
    expect(await errorsOf({ limit: 'x' }, ListOrdersDto, 'query')).toMatchObject([{ in: 'query', pointer: '#/limit' }]);
  });

  it('reports at most 50 fields', async () => {
    expect(await errorsOf({ code: 'A', ...fields(100) })).toHaveLength(50);
  });

  it.each<[string, unknown]>([
    ['is missing', undefined],
    ['is an array', [{ code: 'A' }]],
  ])('rejects a body that %s', async (_, value) => {
    expect(await pointersOf(value)).toEqual(['#']);
  });

  it.each<[string, object, string]>([
    ['of a nested DTO', { address: [] }, '#/address'],
    ['of an item', { others: [{ 'street/number': '1' }, []] }, '#/others/1'],
  ])('rejects an array in the place %s', async (_, value, pointer) => {
    const detail = 'must be a JSON object';
    expect(await errorsOf({ code: 'A', ...value })).toEqual([{ in: 'body', pointer, detail }]);
  });

  it('accepts an array of nested DTOs', async () => {
    const others = [{ 'street/number': '1' }];
    expect(await validate({ code: 'A', others })).toEqual({ code: 'A', others });
  });

  it.each(['__proto__', 'constructor', 'prototype', 'toString'])('rejects the name %s at every level', async (name) => {
    const value = JSON.parse(`{"a":[{"${name}":{"polluted":true}}]}`);
    expect(await pointersOf(value.a[0])).toEqual([`#/${name}`]);
    expect(await pointersOf({ code: 'A', metadata: value })).toEqual([`#/metadata/a/0/${name}`]);
    expect(Reflect.get({}, 'polluted')).toBeUndefined();
  });

  it.each<[string, unknown, string]>([
    ['a NUL character', { code: 'a\0b' }, '#/code'],
    ['half of a surrogate pair', { code: 'a\ud800b' }, '#/code'],
    ['a NUL character in a nested name', { metadata: { 'a/b~c': [{ 'ä\0': 1 }] } }, '#/metadata/a~1b~0c/0/%C3%A4%00'],
    ['more than 20 levels', nested(21), `#${'/a'.repeat(20)}`],
    [
      '10,000 levels of arrays',
      { metadata: JSON.parse('['.repeat(10_000) + ']'.repeat(10_000)) },
      `#/metadata${'/0'.repeat(19)}`,
    ],
    ['more than 1,000 fields', fields(1001), '#'],
    ['more than 1,000 nested fields', { metadata: fields(1001) }, '#/metadata'],
  ])('rejects %s, with a pointer to it', async (_, value, pointer) => {
    expect(await pointersOf(value)).toEqual([pointer]);
  });
});

describe('IdDto, which has its own path through the pipe', () => {
  class SameAsIdDto extends IdDto {}

  it.each<unknown>([
    { id: '3b241101-e2bb-4255-8caf-4136c566a962' },
    { id: '3B241101-E2BB-4255-8CAF-4136C566A962' },
    { id: '00000000-0000-0000-0000-000000000000' },
    { id: 'ffffffff-ffff-ffff-ffff-ffffffffffff' },
    { id: '3b241101-e2bb-4255-8caf-4136c566a962', other: 1 },
    { id: '3b241101-e2bb-4255-8caf-4136c566a962', ['__proto__']: 1 },
    { id: '3b241101-e2bb-4255-8caf-4136c566a962\0' },
    { id: ' 3b241101-e2bb-4255-8caf-4136c566a962' },
    { id: '3b241101-e2bb-6255-0caf-4136c566a962' },
    { id: ['3b241101-e2bb-4255-8caf-4136c566a962'] },
    { id: 'stats' },
    { other: '3b241101-e2bb-4255-8caf-4136c566a962' },
    {},
    null,
    undefined,
  ])('has the verdict of every DTO: %j', async (value) => {
    const verdictOf = (metatype: typeof IdDto) =>
      pipe.transform(value, { type: 'param', metatype }).then(
        (dto: unknown) => ({ ...(dto as IdDto) }),
        (error: unknown) => (error instanceof Problem ? error.details : error),
      );
    expect(await verdictOf(IdDto)).toEqual(await verdictOf(SameAsIdDto));
  });

  it('returns an instance', async () => {
    const id = '3b241101-e2bb-4255-8caf-4136c566a962';
    expect(await pipe.transform({ id }, { type: 'param', metatype: IdDto })).toBeInstanceOf(IdDto);
  });
});

describe('OptionalNotNull', () => {
  it('accepts a missing property and rejects null', async () => {
    expect(await validate({}, UpdateOrderDto)).toEqual({});
    expect(await pointersOf({ metadata: null, address: null }, UpdateOrderDto)).toEqual(['#/address', '#/metadata']);
  });

  it('is what PartialType makes of a required property', async () => {
    expect(await pointersOf({ code: null }, UpdateOrderDto)).toEqual(['#/code']);
  });
});

describe('Length', () => {
  it.each(['', 'x'.repeat(11), '😀'.repeat(11), '😀\ufe0f'.repeat(6), 'e\u0301'.repeat(6), ['a'], 5, null])(
    'rejects %j',
    async (code) => {
      expect(await pointersOf({ code })).toEqual(['#/code']);
    },
  );

  it.each(['x', 'x'.repeat(10), '😀'.repeat(10), '😀\ufe0f'.repeat(5)])('accepts %j', async (code) => {
    expect(await validate({ code })).toEqual({ code });
  });
});

describe('IsDateTime', () => {
  it.each([
    '2030-01-01',
    '2030-01-01T00:00:00',
    '2030-02-31T00:00:00Z',
    '2030-02-29T00:00:00Z',
    '2030-01-01T24:00:00Z',
    '2030-01-01T23:59:60Z',
    '0000-01-01T00:00:00Z',
    '1999-12-31T23:59:59Z',
    '10000-01-01T00:00:00Z',
    '+10000-01-01T00:00:00Z',
    '9999-12-31T23:59:59-01:00',
    '1893456000',
    1_893_456_000_000,
    'infinity',
    '',
  ])('rejects %j', async (dueAt) => {
    expect(await pointersOf({ code: 'A', dueAt })).toEqual(['#/dueAt']);
  });

  it.each(['2000-01-01T00:00:00Z', '2028-02-29T23:59:59.999999999-23:59', '9999-12-31T23:59:59Z'])(
    'accepts %j',
    async (dueAt) => {
      expect(await validate({ code: 'A', dueAt })).toEqual({ code: 'A', dueAt: new Date(dueAt) });
    },
  );
});

describe('IsCalendarDate', () => {
  it.each([
    ...['2030-02-31', '2030-02-29', '2030-13-01', '2030-00-01', '2030-01-00', '2030-1-1', '0000-01-01', '12030-01-01'],
    ...['2030-01-01T00:00:00Z', '2030-W01-1', '20300101', ' 2030-01-01', '2030-01-01\n', 'infinity', '', 20_300_101],
  ])('rejects %j', async (day) => {
    expect(await errorsOf({ code: 'A', day })).toEqual([
      { in: 'body', pointer: '#/day', detail: 'must be a date such as 2030-01-31' },
    ]);
  });

  it.each(['0001-01-01', '2028-02-29', '9999-12-31'])('accepts %s and keeps it as text', async (day) => {
    expect(await validate({ code: 'A', day })).toEqual({ code: 'A', day });
  });
});

describe('IsJsonObject', () => {
  it.each([[[]], ['text'], [5], [nested(3)], [{ a: 'x'.repeat(13) }], [{ a: 'ü'.repeat(7) }]])(
    'rejects %j',
    async (metadata) => {
      expect(await pointersOf({ code: 'A', metadata })).toEqual(['#/metadata']);
    },
  );

  it.each([[{}], [nested(2)], [{ a: 'x'.repeat(12) }], [{ a: 'ü'.repeat(6) }]])('accepts %j', async (metadata) => {
    expect(await validate({ code: 'A', metadata })).toEqual({ code: 'A', metadata });
  });
});

describe('ListOrdersDto, a PageQueryDto', () => {
  it.each([
    ['limit', '0'],
    ['limit', '101'],
    ['limit', '1e9'],
    ['limit', '1e1'],
    ['limit', 'abc'],
    ['limit', ''],
    ['limit', '-1'],
    ['limit', '5.0'],
    ['limit', '999999999999999999999'],
    ['limit', ['5', '6']],
    ['paid', '1'],
    ['paid', 'TRUE'],
    ['paid', 'constructor'],
    ['offset', '5'],
  ])('rejects %s=%s', async (name, value) => {
    expect(await pointersOf({ [name]: value }, ListOrdersDto, 'query')).toEqual([`#/${name}`]);
  });

  it('parses integers and booleans', async () => {
    expect(await validate({ limit: '100', paid: 'false' }, ListOrdersDto, 'query')).toEqual({
      limit: 100,
      paid: false,
    });
    expect(await validate({}, ListOrdersDto, 'query')).toEqual({ limit: 20 });
  });

  it('does not convert text in a body to a number', async () => {
    expect(await pointersOf({ count: '5' }, CountDto)).toEqual(['#/count']);
  });
});
