import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Body, Controller, Get, HttpCode, Post, RawBody } from '@nestjs/common';
import { ApiConsumes } from '@nestjs/swagger';
import { Transform, Type } from 'class-transformer';
import { IsArray, IsBoolean, IsInt, IsString, Max, ValidateNested } from 'class-validator';
import { Public } from '../../src/platform/auth/auth.decorators.js';
import { BodyItems } from '../../src/platform/http/body-items.decorator.js';
import { MaxBodySize } from '../../src/platform/http/max-body-size.decorator.js';
import { OptionalNotNull, ParseBoolean, ParseInteger } from '../../src/platform/http/validators.js';
import { createOpenApiDocument } from '../../src/platform/openapi/openapi-document.js';
import { exchange, openRaw, readResponses } from '../support/raw-http.js';
import { createTestApp, type TestApp } from '../support/test-app.js';
import { until } from '../support/until.js';

class LineDto {
  @IsInt()
  @Max(10)
  quantity!: number;
}

class OrderItemDto {
  @IsString()
  sku!: string;

  @OptionalNotNull()
  @ValidateNested({ each: true })
  @IsArray()
  @Type(() => LineDto)
  lines?: LineDto[];
}

class ContactDto {
  @IsString()
  name!: string;

  @OptionalNotNull()
  @ParseInteger()
  @IsInt()
  age?: number;

  @OptionalNotNull()
  @ParseBoolean()
  @IsBoolean()
  subscribed?: boolean;

  @OptionalNotNull()
  @Transform(({ value }: { value: unknown }) => [value].flat())
  @IsString({ each: true })
  tags?: string[];
}

@Controller('bodies')
@Public()
class BodiesController {
  @Post('json')
  @HttpCode(200)
  json(@Body() body: Record<string, unknown>): object {
    return body;
  }

  @Post('events')
  @HttpCode(200)
  @ApiConsumes('application/cloudevents+json', 'application/json')
  events(@Body() body: Record<string, unknown>): object {
    return body;
  }

  @Post('any-json')
  @HttpCode(200)
  @ApiConsumes('application/*+json')
  anyJson(@Body() body: Record<string, unknown>): object {
    return body;
  }

  @Post('contacts')
  @HttpCode(200)
  @ApiConsumes('application/x-www-form-urlencoded')
  contact(@Body() contact: ContactDto): ContactDto {
    return contact;
  }

  @Post('form')
  @HttpCode(200)
  @ApiConsumes('application/x-www-form-urlencoded')
  form(@Body() fields: Record<string, unknown>): object {
    return fields;
  }

  @Post('items')
  @HttpCode(200)
  items(@BodyItems(OrderItemDto, { max: 3 }) items: OrderItemDto[]): object {
    return { items, areDtos: items.every((item) => item instanceof OrderItemDto) };
  }

  @Post('unvalidated-items')
  unvalidated(@Body() items: OrderItemDto[]): object {
    return items;
  }

  @Post('raw')
  @HttpCode(200)
  raw(@RawBody() bytes: Buffer): object {
    return { base64: bytes.toString('base64') };
  }

  @Post('both')
  @HttpCode(200)
  both(@RawBody() bytes: Buffer, @Body() body: Record<string, unknown>): object {
    return { length: bytes.length, body };
  }

  @Post('xml')
  @HttpCode(200)
  @ApiConsumes('application/xml', 'text/*')
  xml(@RawBody() bytes: Buffer): object {
    return { base64: bytes.toString('base64') };
  }

  @Post('unparsable')
  @ApiConsumes('application/xml')
  unparsable(@Body() body: string): string {
    return body;
  }

  @Post('large')
  @HttpCode(200)
  @MaxBodySize(1024 ** 2)
  large(@RawBody() bytes: Buffer): object {
    return { length: bytes.length };
  }

  @Post('huge')
  @HttpCode(200)
  @MaxBodySize(40 * 1024 ** 2)
  huge(@RawBody() bytes: Buffer): object {
    return { length: bytes.length };
  }
}

@Controller('forms')
@Public()
@ApiConsumes('application/x-www-form-urlencoded')
class FormsController {
  @Get()
  list(): object {
    return {};
  }

  @Post()
  @HttpCode(200)
  create(@Body() contact: ContactDto): ContactDto {
    return contact;
  }
}

let sut: TestApp;
const lines: string[] = [];
beforeAll(async () => {
  const controllers = [BodiesController, FormsController];
  sut = await createTestApp({ controllers, env: { LOG_LEVEL: 'error' }, log: (line) => lines.push(line) });
});
afterAll(() => sut.close());

const post = (path: string, type: string | undefined, body?: string | Uint8Array<ArrayBuffer>) =>
  fetch(`${sut.url}${path}`, { method: 'POST', headers: type ? { 'Content-Type': type } : {}, body });

async function pointersOf(response: Response): Promise<string[]> {
  const { errors = [] } = (await response.json()) as { errors?: { pointer: string }[] };
  return errors.map(({ pointer }) => pointer);
}

const FORM = 'application/x-www-form-urlencoded';

describe('@ApiConsumes', () => {
  it.each([
    ['/bodies/json', 'application/json', 200],
    ['/bodies/json', 'application/cloudevents+json', 415],
    ['/bodies/json', FORM, 415],
    ['/bodies/json', 'multipart/form-data; boundary=x', 415],
    ['/bodies/events', 'application/cloudevents+json', 200],
    ['/bodies/events', 'application/cloudevents+json; charset=utf-8', 200],
    ['/bodies/events', 'application/json', 200],
    ['/bodies/events', 'application/merge-patch+json', 415],
    ['/bodies/any-json', 'application/merge-patch+json', 200],
    ['/bodies/any-json', 'application/json', 415],
    ['/bodies/form', 'application/json', 415],
    ['/forms', 'application/json', 415],
    ['/bodies/xml', 'text/xml', 200],
    ['/bodies/xml', 'text/csv; charset=iso-8859-1', 200],
    ['/bodies/xml', 'application/json', 415],
    ['/bodies/xml', undefined, 415],
  ])('decides the media types of a route: POST %s as %s returns %i', async (path, type, status) => {
    const bytes = new TextEncoder().encode('{"a":1}');
    expect((await post(path, type, bytes)).status).toBe(status);
  });

  it('is the Accept header of a rejection, which comes before the body is read', async () => {
    const head = 'POST /bodies/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/plain\r\n';
    const [response] = await exchange(sut.url, `${head}Content-Length: 1000\r\n\r\n{`);
    expect(response).toMatchObject({
      status: 415,
      headers: { accept: 'application/cloudevents+json, application/json' },
    });
  });

  it('of a controller does not make its other routes read a body', async () => {
    await sut.anonymous.get('/forms').expect(200);
    expect((await post('/forms', FORM, 'name=Ada')).status).toBe(200);
  });

  it('without a parser is an error that names the remedy', async () => {
    expect((await post('/bodies/unparsable', 'application/xml', '<a/>')).status).toBe(500);
    expect(lines.join('')).toContain('@Body() cannot parse application/xml. Declare the parameter with @RawBody()');
  });

  it('validates other JSON media types like application/json', async () => {
    const response = await post('/bodies/events', 'application/cloudevents+json', '{"a":1,"a":2}');
    expect(await response.json()).toMatchObject({ status: 400, code: 'malformed_request' });
  });
});

describe('a form', () => {
  it.each([
    [
      'name=Ada+Lovelace&age=36&subscribed=true&tags=a',
      { name: 'Ada Lovelace', age: 36, subscribed: true, tags: ['a'] },
    ],
    ['name=%C3%A9%2B%26&tags=a&tags=b', { name: 'é+&', tags: ['a', 'b'] }],
    ['name=a=b&&', { name: 'a=b' }],
    ['name=', { name: '' }],
    ['name=Zo\u00eb', { name: 'Zoë' }],
  ])('is parsed and validated by its DTO: %s', async (body, expected) => {
    const response = await post('/bodies/contacts', FORM, new TextEncoder().encode(body));
    expect(await response.json()).toEqual(expected);
  });

  it.each([
    ['name=Ada&age=x', '#/age'],
    ['name=Ada&age=1.5', '#/age'],
    ['name=Ada&subscribed=yes', '#/subscribed'],
    ['name=Ada&name=Eva', '#/name'],
    ['name=Ada&role=admin', '#/role'],
    ['name=Ada&__proto__=1', '#/__proto__'],
    ['name=Ada&constructor=1', '#/constructor'],
    ['name=%00', '#/name'],
    ['age=3', '#/name'],
    ['', '#'],
  ])('that its DTO does not accept is rejected with a pointer: %s', async (body, pointer) => {
    const response = await post('/bodies/contacts', FORM, body);
    expect(response.status).toBe(400);
    expect(await pointersOf(response)).toEqual([pointer]);
  });

  it.each(['name=%', 'name=%4', 'name=%zz', 'name=%C3', 'name=%ED%A0%80', '%FF=a'])(
    'with invalid percent-encoding or UTF-8 is rejected: %s',
    async (body) => {
      const response = await post('/bodies/contacts', FORM, body);
      expect(await response.json()).toMatchObject({ status: 400, code: 'malformed_request' });
    },
  );

  it('with a raw byte that is not UTF-8 is rejected', async () => {
    const response = await post('/bodies/contacts', FORM, Uint8Array.from([...Buffer.from('name=a'), 0xff]));
    expect(await response.json()).toMatchObject({ code: 'malformed_request' });
  });

  it('keeps every field, or is rejected: no limit is silent', async () => {
    const fields = (count: number) => Array.from({ length: count }, (_, index) => `f${index}=${index}`).join('&');
    const response = await post('/bodies/form', FORM, fields(1000));
    expect(Object.keys((await response.json()) as object)).toHaveLength(1000);
    expect((await post('/bodies/form', FORM, fields(1001))).status).toBe(400);
    const repeated = await post('/bodies/form', FORM, 'a=1&'.repeat(5000));
    expect(((await repeated.json()) as { a: string[] }).a).toHaveLength(5000);
  });
});

describe('@BodyItems', () => {
  const send = (items: unknown) => post('/bodies/items', 'application/json', JSON.stringify(items));

  it('injects validated items', async () => {
    const items = [{ sku: 'a' }, { sku: 'b', lines: [{ quantity: 1 }] }];
    expect(await (await send(items)).json()).toEqual({ items, areDtos: true });
    expect((await send([])).status).toBe(200);
  });

  it.each([
    [
      [{ sku: 'a' }, { sku: 1 }, { sku: 'c', lines: [{ quantity: 1 }, { quantity: 11 }] }],
      ['#/1/sku', '#/2/lines/1/quantity'],
    ],
    [[{ sku: 'a', price: 1 }], ['#/0/price']],
    [
      [{ sku: 'a' }, null],
      ['#', '#/1'],
    ],
    [[[]], ['#']],
    [['a'], ['#', '#/0']],
    [[{ sku: '\0' }], ['#/0/sku']],
    [['a', 'b', 'c', 'd'].map((sku) => ({ sku })), ['#']],
    [{ sku: 'a' }, ['#']],
  ])('rejects %j with the pointers %j', async (items, pointers) => {
    const response = await send(items);
    expect(response.status).toBe(400);
    expect(await pointersOf(response)).toEqual(pointers);
  });

  it('requires a body', async () => {
    expect(await pointersOf(await post('/bodies/items', 'application/json'))).toEqual(['#']);
  });

  it('is required for an array, whose items would otherwise not be validated', async () => {
    expect((await post('/bodies/unvalidated-items', 'application/json', '[{}]')).status).toBe(500);
    expect(lines.join('')).toContain('Declare an array body with @BodyItems(ItemDto, { max })');
  });
});

describe('@RawBody', () => {
  it('injects the bytes as they were sent, with or without @Body', async () => {
    const bytes = Uint8Array.from([0x7b, 0x20, 0x00, 0xff, 0x0d, 0x0a]);
    const response = await post('/bodies/xml', 'application/xml', bytes);
    expect(await response.json()).toEqual({ base64: Buffer.from(bytes).toString('base64') });
    const both = await post('/bodies/both', 'application/json', '{ "a" : 1 }');
    expect(await both.json()).toEqual({ length: 11, body: { a: 1 } });
  });

  it('injects an empty buffer if there is no body', async () => {
    expect(await (await post('/bodies/raw', undefined)).json()).toEqual({ base64: '' });
    expect(await (await post('/bodies/raw', 'application/json', '')).json()).toEqual({ base64: '' });
  });
});

describe('@MaxBodySize', () => {
  it('sets the limit of a route', async () => {
    const type = 'application/json';
    expect(await (await post('/bodies/large', type, ' '.repeat(1024 ** 2))).json()).toEqual({ length: 1024 ** 2 });
    expect((await post('/bodies/large', type, ' '.repeat(1024 ** 2 + 1))).status).toBe(413);
    expect((await post('/bodies/raw', type, ' '.repeat(100 * 1024 + 1))).status).toBe(413);
  });

  it('does not lift the limit of 50 MB for all bodies in memory: the oldest is ended', async () => {
    const head =
      'POST /bodies/huge HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 40000000\r\n\r\n';
    let read = 0;
    sut.app.getHttpServer().on('connection', (socket) => socket.on('data', (data) => (read += data.length)));
    const oldest = await openRaw(sut.url, head);
    const responses = readResponses(oldest);
    oldest.write(Buffer.alloc(30_000_000));
    await until(() => read >= 30_000_000);
    const newest = await openRaw(sut.url, head + ' '.repeat(30_000_000));
    expect(await responses).toMatchObject([{ status: 408 }]);
    const answered = readResponses(newest);
    newest.end(' '.repeat(10_000_000));
    expect(await answered).toMatchObject([{ status: 200 }]);
  });
});

describe('OpenAPI', () => {
  it('shows the media types, the array with its limit, and the raw body', () => {
    const { paths, components } = createOpenApiDocument(sut.app);
    const bodyOf = (path: string) => paths[path]?.post?.requestBody;
    expect(bodyOf('/bodies/events')).toMatchObject({
      content: { 'application/cloudevents+json': {}, 'application/json': {} },
    });
    expect(bodyOf('/bodies/contacts')).toMatchObject({ content: { [FORM]: {} } });
    expect(bodyOf('/bodies/items')).toMatchObject({
      content: {
        'application/json': {
          schema: { type: 'array', maxItems: 3, items: { $ref: '#/components/schemas/OrderItemDto' } },
        },
      },
    });
    expect(components?.schemas?.OrderItemDto).toMatchObject({ additionalProperties: false });
    expect(bodyOf('/bodies/xml')).toEqual({
      content: {
        'application/xml': { schema: { type: 'string', format: 'binary' } },
        'text/*': { schema: { type: 'string', format: 'binary' } },
      },
    });
    expect(Object.keys(paths['/bodies/xml']?.post?.responses ?? {})).toEqual(expect.arrayContaining(['413', '415']));
  });
});
