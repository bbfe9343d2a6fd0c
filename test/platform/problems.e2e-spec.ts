import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  type ArgumentsHost,
  BadGatewayException,
  BadRequestException,
  Catch,
  ConflictException,
  Controller,
  type ExceptionFilter,
  ForbiddenException,
  GatewayTimeoutException,
  Get,
  GoneException,
  HttpException,
  ImATeapotException,
  InternalServerErrorException,
  type MiddlewareConsumer,
  Module,
  type NestModule,
  Next,
  NotFoundException,
  NotImplementedException,
  Param,
  ParseArrayPipe,
  ParseBoolPipe,
  ParseEnumPipe,
  ParseFilePipeBuilder,
  ParseIntPipe,
  ParseUUIDPipe,
  PayloadTooLargeException,
  Post,
  Query,
  Res,
  ServiceUnavailableException,
  StreamableFile,
  UnauthorizedException,
  UnprocessableEntityException,
  UploadedFile,
  UseFilters,
  UseInterceptors,
} from '@nestjs/common';
import { ExternalContextCreator } from '@nestjs/core';
import { FileInterceptor, type NestExpressApplication } from '@nestjs/platform-express';
import type { NextFunction, Request, Response } from 'express';
import { Public } from '../../src/platform/auth/auth.decorators.js';
import { ProblemFilter } from '../../src/platform/problems/problem.filter.js';
import { createTestApp, type TestApp } from '../support/test-app.js';

const SECRET = 'internal-secret';

/** An error in the format of http-errors. */
const libraryError = (status: number, message: string, fields: object = {}) =>
  Object.assign(new Error(message), { status, statusCode: status, expose: status < 500, ...fields });

type Expected = [status: number, code: string, detail?: string];

const EXCEPTIONS: Record<string, [exception: unknown, ...Expected]> = {
  'a message': [
    new BadRequestException('The start is after the end'),
    400,
    'bad_request',
    'The start is after the end',
  ],
  'several messages': [
    new BadRequestException(['a is wrong', 'b is wrong']),
    400,
    'bad_request',
    'a is wrong; b is wrong',
  ],
  'an object': [new ConflictException({ message: 'Order closed', secret: SECRET }), 409, 'conflict', 'Order closed'],
  'an object without a message': [new ConflictException({ secret: SECRET }), 409, 'conflict'],
  'an Error': [new BadRequestException(new Error(SECRET)), 400, 'bad_request'],
  'a cause': [new NotFoundException('No order 5', { cause: new Error(SECRET) }), 404, 'not_found', 'No order 5'],
  'an error code': [new ConflictException('Closed', { errorCode: 'order_closed' }), 409, 'order_closed', 'Closed'],
  'no message': [new NotFoundException(), 404, 'not_found'],
  '401': [new UnauthorizedException('Sign in'), 401, 'unauthorized', 'Sign in'],
  '402': [new HttpException('Pay', 402), 402, 'payment_required', 'Pay'],
  '403': [new ForbiddenException('Not yours'), 403, 'forbidden', 'Not yours'],
  '410': [new GoneException('Moved'), 410, 'gone', 'Moved'],
  '413': [new PayloadTooLargeException('At most 5 items'), 413, 'content_too_large', 'At most 5 items'],
  '418': [new ImATeapotException('No coffee'), 418, 'http_error', 'No coffee'],
  '422': [new UnprocessableEntityException('Empty'), 422, 'unprocessable_content', 'Empty'],
  '451': [new HttpException('Blocked', 451), 451, 'http_error', 'Blocked'],
  '500': [new InternalServerErrorException(SECRET), 500, 'internal_error'],
  '501': [new NotImplementedException(SECRET), 501, 'not_implemented'],
  '502': [new BadGatewayException(SECRET, { cause: new Error('refused') }), 502, 'bad_gateway'],
  '503': [new ServiceUnavailableException(SECRET), 503, 'service_unavailable'],
  '504': [new GatewayTimeoutException(SECRET), 504, 'gateway_timeout'],
  '507': [new HttpException(SECRET, 507), 507, 'http_error'],
  'a library': [libraryError(409, 'Name in use'), 409, 'conflict', 'Name in use'],
  'a library, hidden': [libraryError(404, SECRET, { expose: false }), 404, 'not_found'],
  'a library, 5xx': [libraryError(502, SECRET), 502, 'bad_gateway'],
  'an HTTP client': [Object.assign(new Error(SECRET), { status: 404 }), 500, 'internal_error'],
  'a value that is not an error': [SECRET, 500, 'internal_error'],
};

enum Color {
  Red = 'red',
}

@Catch()
class RethrowingFilter implements ExceptionFilter {
  catch(error: unknown): void {
    throw error;
  }
}

@Catch()
class ReportingFilter extends ProblemFilter {
  override catch(error: unknown, host: ArgumentsHost): unknown {
    host.switchToHttp().getResponse<Response>().set('X-Reported', 'true');
    return super.catch(error, host);
  }
}

const upload = new ParseFilePipeBuilder().addMaxSizeValidator({ maxSize: 2 }).build();

@Controller('failures')
@Public()
class FailuresController {
  @Get('exceptions/:name')
  exception(@Param('name') name: string): void {
    throw EXCEPTIONS[name]![0];
  }

  @Get('int/:value')
  int(@Param('value', ParseIntPipe) value: number) {
    return value;
  }

  @Get('uuid/:value')
  uuid(@Param('value', ParseUUIDPipe) value: string) {
    return value;
  }

  @Get('query')
  query(
    @Query('color', new ParseEnumPipe(Color, { optional: true })) color: Color,
    @Query('on', new ParseBoolPipe({ optional: true })) on: boolean,
    @Query('ids', new ParseArrayPipe({ items: Number, optional: true })) ids: number[],
  ) {
    return { color, on, ids };
  }

  @Post('file')
  @UseInterceptors(FileInterceptor('file', { limits: { fileSize: 4 } }))
  file(@UploadedFile(upload) file: { size: number }) {
    return file.size;
  }

  @Get('retry-after')
  retryAfter(@Res({ passthrough: true }) response: Response): void {
    response.set({ 'Retry-After': '30', 'Content-Encoding': 'gzip', ETag: '"1"', 'Content-Disposition': 'attachment' });
    throw new ServiceUnavailableException();
  }

  @Get('library-headers')
  libraryHeaders(): void {
    throw libraryError(429, 'Slow down', { headers: { 'Retry-After': '7' } });
  }

  @Get('missing-stream')
  missingStream(): StreamableFile {
    return new StreamableFile(createReadStream(`/nowhere/${SECRET}`), { type: 'image/png', length: 10 });
  }

  @Get('late-stream')
  lateStream(): StreamableFile {
    const chunks = async function* () {
      yield await new Promise<string>((_, reject) => setImmediate(() => reject(new Error(SECRET))));
    };
    return new StreamableFile(Readable.from(chunks()));
  }

  @Get('partial-stream')
  partialStream(): StreamableFile {
    const chunks = async function* () {
      yield 'half';
      await new Promise(setImmediate);
      throw new Error(SECRET);
    };
    return new StreamableFile(Readable.from(chunks(), { objectMode: false }));
  }

  @Get('stream')
  stream(): StreamableFile {
    return new StreamableFile(Readable.from(['a', 'b']));
  }

  @Get('empty-stream')
  emptyStream(): StreamableFile {
    return new StreamableFile(Readable.from([]));
  }

  @Get('missing-file')
  missingFile(@Res() response: Response): void {
    response.sendFile(`/nowhere/${SECRET}`);
  }

  @Get('range')
  range(@Res() response: Response): void {
    response.sendFile('package.json', { root: process.cwd() });
  }

  @Get('next')
  next(@Next() next: NextFunction): void {
    next(new ConflictException('Passed to next()'));
  }

  @Get('after-response')
  afterResponse(@Res() response: Response): void {
    response.send('complete');
    throw new Error('after the response');
  }

  @Get('rethrown')
  @UseFilters(RethrowingFilter)
  rethrown(): void {
    throw new GoneException('Rethrown');
  }

  @Get('reported')
  @UseFilters(ReportingFilter)
  reported(): void {
    throw new GoneException('Reported');
  }
}

@Module({ controllers: [FailuresController] })
class FailuresModule implements NestModule {
  configure(consumer: MiddlewareConsumer): void {
    const fail = (_request: Request, _response: Response, next: NextFunction) => next(new ForbiddenException('Closed'));
    consumer.apply(fail).forRoutes('failures/middleware');
  }
}

let sut: TestApp;
const log: string[] = [];
beforeAll(async () => {
  sut = await createTestApp({
    modules: [FailuresModule],
    env: { LOG_LEVEL: 'info' },
    log: (line) => log.push(line),
  });
});
beforeEach(() => {
  log.length = 0;
});
afterAll(() => sut.close());

/** Matches the response with a problem, which never has the secret. */
const problem = (status: number, code: string) => ({
  status,
  headers: expect.objectContaining({ 'content-type': 'application/problem+json; charset=utf-8' }),
  text: expect.not.stringContaining(SECRET),
  body: { type: `urn:problem-type:${code}`, title: expect.any(String), status, code, requestId: expect.any(String) },
});

describe('an exception', () => {
  it.each(Object.entries(EXCEPTIONS))('with %s is a problem', async (name, [, status, code, detail]) => {
    const response = await sut.anonymous.get(`/failures/exceptions/${name}`);
    expect(response).toMatchObject(problem(status, code));
    expect(response.body.detail).toBe(detail);
    expect(log.join('\n')).toContain(`"code":"${code}"`);
    // Only server errors are logged with their message.
    expect(log.join('\n').includes(SECRET)).toBe(status >= 500);
  });

  it('of status 502 is logged with its cause', async () => {
    await sut.anonymous.get('/failures/exceptions/502').expect(502);
    expect(log.join('\n')).toContain(`bad_gateway: BadGatewayException: ${SECRET}: Error: refused`);
  });
});

describe("Nest's pipes", () => {
  it.each<[path: string, detail: string]>([
    ['/failures/int/abc', 'Validation failed (numeric string is expected)'],
    ['/failures/uuid/abc', 'Validation failed (uuid is expected)'],
    ['/failures/query?color=blue', 'Validation failed (enum string is expected)'],
    ['/failures/query?on=maybe', 'Validation failed (boolean string is expected)'],
    ['/failures/query?ids=1,x', '[1] item must be a number'],
  ])('GET %s returns 400 bad_request: %s', async (path, detail) => {
    const response = await sut.anonymous.get(path);
    expect(response).toMatchObject(problem(400, 'bad_request'));
    expect(response.body.detail).toBe(detail);
  });

  it.each<[file: string, name: string, ...Expected]>([
    ['123', 'file', 400, 'bad_request', 'Validation failed (current file size is 3, expected size is less than 2)'],
    ['12345', 'file', 413, 'content_too_large', 'File too large'],
    ['1', 'other', 400, 'invalid_request', 'Unexpected file field - other'],
  ])('an upload of %s as %s returns %i %s', async (content, name, status, code, detail) => {
    const response = await sut.anonymous.post('/failures/file').attach(name, Buffer.from(content), 'a.txt');
    expect(response).toMatchObject(problem(status, code));
    expect(response.body.detail).toBe(detail);
  });

  it('a missing file returns 400 bad_request', async () => {
    const response = await sut.anonymous.post('/failures/file');
    expect(response).toMatchObject(problem(400, 'bad_request'));
    expect(response.body.detail).toBe('File is required');
  });
});

describe('the headers of a problem', () => {
  it('keep Retry-After of the handler, without the headers of its content', async () => {
    const response = await sut.anonymous.get('/failures/retry-after');
    expect(response).toMatchObject(problem(503, 'service_unavailable'));
    const { headers } = response;
    expect(headers).toMatchObject({ 'retry-after': '30', 'cache-control': 'no-store' });
    for (const name of ['content-encoding', 'etag', 'content-disposition']) expect(headers).not.toHaveProperty(name);
  });

  it('include the headers of a library error', async () => {
    const { headers } = await sut.anonymous.get('/failures/library-headers').expect(429);
    expect(headers['retry-after']).toBe('7');
  });

  it.each([
    ['401', 'www-authenticate', /^Bearer realm="/],
    ['503', 'retry-after', /^1$/],
  ])('of status %s include %s', async (name, header, value) => {
    const { headers } = await sut.anonymous.get(`/failures/exceptions/${name}`);
    expect(headers[header]).toMatch(value);
  });
});

describe('a stream or file', () => {
  it.each<[path: string, ...Expected]>([
    ['missing-stream', 500, 'internal_error'],
    ['late-stream', 500, 'internal_error'],
    ['missing-file', 404, 'not_found'],
  ])('that fails before its first byte is a problem: %s', async (path, status, code) => {
    expect(await sut.anonymous.get(`/failures/${path}`)).toMatchObject(problem(status, code));
  });

  it('that fails later closes the connection', async () => {
    const read = fetch(`${sut.url}/failures/partial-stream`).then((response) => response.text());
    await expect(read).rejects.toThrow(/terminated|fetch failed/);
  });

  it('that succeeds is sent whole', async () => {
    expect(await (await fetch(`${sut.url}/failures/stream`)).text()).toBe('ab');
    expect(await (await fetch(`${sut.url}/failures/empty-stream`)).text()).toBe('');
    await sut.anonymous.head('/failures/stream').expect(200);
  });

  it('without the requested range returns 416 with Content-Range', async () => {
    const response = await sut.anonymous.get('/failures/range').set('Range', 'bytes=9999999-');
    expect(response).toMatchObject(problem(416, 'range_not_satisfiable'));
    expect(response.headers['content-range']).toMatch(/^bytes \*\/\d+$/);
  });
});

describe('an error outside of a handler', () => {
  it.each<[what: string, path: string, ...Expected]>([
    ['passed to next()', 'next', 409, 'conflict', 'Passed to next()'],
    ['of a middleware', 'middleware', 403, 'forbidden', 'Closed'],
    ['that a filter rethrows', 'rethrown', 410, 'gone', 'Rethrown'],
    ['that a subclass of ProblemFilter reports', 'reported', 410, 'gone', 'Reported'],
    ['of URL decoding', 'int/%ff', 400, 'malformed_request', 'The request target must have percent-encoded UTF-8'],
    ['of the router', 'nowhere', 404, 'route_not_found'],
  ])('%s is a problem', async (_, path, ...[status, code, detail]) => {
    const response = await sut.anonymous.get(`/failures/${path}`);
    expect(response).toMatchObject(problem(status, code));
    expect(response.body.detail).toBe(detail);
  });

  it('after a complete response does not cut it off', async () => {
    const { text } = await sut.anonymous.get('/failures/after-response').expect(200);
    expect(text).toBe('complete');
  });
});

it.each([
  ['websockets:is_gateway', 'a WebSocket gateway'],
  ['graphql:resolver_type', 'a GraphQL resolver'],
  ['graphql:resolver_name', 'a GraphQL resolver'],
])('a provider with the metadata %s fails the start', async (key, kind) => {
  class ChatProvider {}
  Reflect.defineMetadata(key, true, ChatProvider);
  class ChatModule {}
  Reflect.defineMetadata('providers', [ChatProvider], ChatModule);
  let app: NestExpressApplication | undefined;
  const configure = (each: NestExpressApplication) => {
    app = each;
  };
  try {
    await expect(createTestApp({ modules: [ChatModule], database: sut.database, configure })).rejects.toThrow(
      `ChatProvider is ${kind}, and authentication, limits and problems support only HTTP. Use a controller`,
    );
  } finally {
    await app?.close();
  }
});

describe('a handler of GraphQL, WebSocket or RPC', () => {
  class Resolver {
    list(): string {
      return 'data';
    }
  }

  it.each(['graphql', 'ws'])('is rejected with the name of the guard: %s', async (type) => {
    const resolver = new Resolver();
    const handler = sut.app
      .get(ExternalContextCreator) // as GraphQL modules do
      .create(
        resolver,
        resolver.list.bind(resolver),
        'list',
        undefined,
        undefined,
        undefined,
        undefined,
        undefined,
        type as 'http',
      );
    await expect(handler()).rejects.toThrow(`AuthGuard supports only HTTP, not "${type}". Move the handler to`);
  });
});
