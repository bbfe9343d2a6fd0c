import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import type { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { json } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import type { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Body, Controller, HttpCode, ParseFilePipe, Post, Req, UploadedFile, UseInterceptors } from '@nestjs/common';
import { FileInterceptor } from '@nestjs/platform-express';
import { ApiBody, ApiConsumes } from '@nestjs/swagger';
import { IsString } from 'class-validator';
import type { Request } from 'express';
import { Public } from '../../src/platform/auth/auth.decorators.js';
import { MaxBodySize } from '../../src/platform/http/max-body-size.decorator.js';
import { OptionalNotNull } from '../../src/platform/http/validators.js';
import { Problem } from '../../src/platform/problems/problem.js';
import { unsupportedMediaType } from '../../src/platform/problems/problem-types.js';
import { advanceClock } from '../support/clock.js';
import { openRaw, type RawResponse, readResponses } from '../support/raw-http.js';
import { createTestApp, type TestApp } from '../support/test-app.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';

const MEGABYTE = 1024 ** 2;

/** The consumers of the uploads so far. */
let consumers: { bytes: number; ended?: 'finished' | 'failed' }[] = [];
let hold: Promise<void> | undefined;

/** Reads a file as it arrives, like an upload to Cloud Storage. */
async function consume(stream: Readable): Promise<{ size: number }> {
  const consumer: (typeof consumers)[number] = { bytes: 0 };
  consumers.push(consumer);
  const sink = new Writable({
    write(chunk: Buffer, _, done) {
      consumer.bytes += chunk.length;
      done();
    },
  });
  try {
    await pipeline(stream, sink);
    await hold;
    consumer.ended = 'finished';
  } catch (error) {
    consumer.ended = 'failed';
    throw error;
  }
  return { size: consumer.bytes };
}

interface UploadFile {
  originalname: string;
  mimetype: string;
  stream: Readable;
}

type Done = (error: unknown, info?: object) => void;

/** A storage engine of `multer` that streams: https://github.com/expressjs/multer/blob/main/StorageEngine.md */
const storage = {
  _handleFile(_request: Request, file: UploadFile, done: Done): void {
    void consume(file.stream).then((info) => done(null, info), done); // oxlint-disable-line promise/no-callback-in-promise
  },
  _removeFile(_request: Request, _file: UploadFile, done: Done): void {
    done(null);
  },
};

class FieldsDto {
  @OptionalNotNull()
  @IsString()
  title?: string;
}

@Controller('imports')
@Public()
class ImportsController {
  @Post()
  @HttpCode(200)
  @ApiConsumes('multipart/form-data')
  @ApiBody({ schema: { type: 'object', properties: { file: { type: 'string', format: 'binary' } } } })
  @MaxBodySize(300 * MEGABYTE)
  @UseInterceptors(
    FileInterceptor('file', {
      storage,
      limits: { files: 1, fileSize: 250 * MEGABYTE, fields: 5 },
      fileFilter: (
        _request: unknown,
        { mimetype }: { mimetype: string },
        done: (error: Error | null, accept: boolean) => void,
      ) => (mimetype === 'text/csv' ? done(null, true) : done(new Problem(unsupportedMediaType), false)),
    }),
  )
  upload(@UploadedFile(new ParseFilePipe()) file: { size: number }, @Body() fields: FieldsDto): object {
    return { size: file.size, ...fields };
  }

  @Post('small')
  @ApiConsumes('multipart/form-data')
  @UseInterceptors(FileInterceptor('file', { storage, limits: { fileSize: 1000 } }))
  uploadSmall(@UploadedFile() file: object): object {
    return file;
  }

  @Post('raw')
  @HttpCode(200)
  @ApiConsumes('application/octet-stream')
  @ApiBody({ schema: { type: 'string', format: 'binary' } })
  @MaxBodySize(10 * MEGABYTE)
  raw(@Req() request: Request): Promise<object> {
    return consume(request);
  }
}

let database: TestDatabase;
let sut: TestApp;
let sockets: Socket[] = [];
const start = async (env: NodeJS.ProcessEnv = {}, log?: (line: string) => void) => {
  sut = await createTestApp({ controllers: [ImportsController], database, env, log });
};
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
beforeEach(() => {
  consumers = [];
  hold = undefined;
});
afterEach(() => {
  jest.restoreAllMocks();
  for (const socket of sockets.splice(0)) socket.destroy();
});

function form(parts: Record<string, string | Blob>): FormData {
  const data = new FormData();
  for (const [name, value] of Object.entries(parts)) data.append(name, value);
  return data;
}
const csv = (size: number) => new Blob([Buffer.alloc(size, 'a')], { type: 'text/csv' });
const upload = (body: FormData) => fetch(`${sut.url}/imports`, { method: 'POST', body });

const BOUNDARY = 'Content-Type: multipart/form-data; boundary=x\r\n';
const PART = '--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\nContent-Type: text/csv\r\n\r\n';

/** Starts a chunked upload that does not end. */
async function startUpload({ path = '/imports', headers = BOUNDARY, body = PART } = {}): Promise<{
  socket: Socket;
  responses: Promise<RawResponse[]>;
  write: (text: string) => void;
}> {
  const count = consumers.length;
  const socket = await openRaw(
    sut.url,
    `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${headers}Transfer-Encoding: chunked\r\n\r\n`,
  );
  sockets.push(socket);
  const write = (text: string) => socket.write(`${text.length.toString(16)}\r\n${text}\r\n`);
  write(`${body}first line`);
  await until(() => consumers.length > count && consumers.at(-1)!.bytes > 0);
  return { socket, responses: readResponses(socket), write };
}

const RAW = { path: '/imports/raw', headers: 'Content-Type: application/octet-stream\r\n', body: '' };

describe('multipart/form-data', () => {
  beforeAll(() => start());
  afterAll(() => sut.close());

  it('streams a file to its consumer, and validates the fields', async () => {
    const response = await upload(form({ title: 'May', file: csv(1000) }));
    expect(await response.json()).toEqual({ size: 1000, title: 'May' });
  });

  it('takes little memory, however large the file is', async () => {
    const request = httpRequest(`${sut.url}/imports`, {
      method: 'POST',
      headers: { 'Content-Type': 'multipart/form-data; boundary=x' },
    });
    const megabyte = Buffer.alloc(MEGABYTE, 'a');
    const before = process.memoryUsage().arrayBuffers;
    let peak = 0;
    async function* body() {
      yield PART;
      for (let count = 0; count < 240; count++) {
        peak = Math.max(peak, process.memoryUsage().arrayBuffers - before);
        yield megabyte;
      }
      yield '\r\n--x--';
    }
    const response = once(request, 'response');
    await pipeline(body, request);
    expect(await json((await response)[0])).toEqual({ size: 240 * MEGABYTE });
    expect(peak).toBeLessThan(150 * MEGABYTE);
  });

  it.each<[string, Record<string, string | Blob>, number, object]>([
    [
      'a file of another type',
      { file: new Blob(['a'], { type: 'image/png' }) },
      415,
      { code: 'unsupported_media_type' },
    ],
    ['another file', { other: csv(1) }, 400, { code: 'invalid_request', errors: [{ in: 'body', pointer: '#/other' }] }],
    [
      'an unknown field',
      { file: csv(1), role: 'x' },
      400,
      { code: 'invalid_request', errors: [{ pointer: '#/role' }] },
    ],
  ])('rejects %s', async (_, parts, status, problem) => {
    const response = await upload(form(parts));
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject(problem);
  });

  it('rejects a file above its limit with the field', async () => {
    const response = await fetch(`${sut.url}/imports/small`, { method: 'POST', body: form({ file: csv(1001) }) });
    const problem = { status: 413, code: 'content_too_large', errors: [{ pointer: '#/file' }] };
    expect(await response.json()).toMatchObject(problem);
  });

  it.each([
    ['an announced length', `${BOUNDARY}Content-Length: 400000000\r\n`, 413],
    ['JSON', 'Content-Type: application/json\r\nContent-Length: 400000000\r\n', 415],
    ['no body', BOUNDARY, 400],
  ])('rejects %s before it reads a body', async (_, headers, status) => {
    const socket = await openRaw(sut.url, `POST /imports HTTP/1.1\r\nHost: x\r\n${headers}\r\n`);
    sockets.push(socket);
    const [data] = await once(socket, 'data');
    expect(String(data)).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(consumers).toEqual([]);
  });

  it.each([
    ['a malformed form', { body: `${PART}a\r\n--x\r\nnonsense\r\n\r\n--x--` }],
    ['a form without its end', { body: `${PART}a` }],
  ])('rejects %s with 400', async (_, { body }) => {
    const response = await fetch(`${sut.url}/imports`, {
      method: 'POST',
      headers: { 'Content-Type': 'multipart/form-data; boundary=x' },
      body,
    });
    expect(response.status).toBe(400);
  });
});

describe.each([
  ['of a form', {}],
  ['of a handler that reads the request', RAW],
])('a stream %s', (_, options) => {
  afterEach(() => sut.close());

  it('ends when the client aborts', async () => {
    const lines: string[] = [];
    await start({ LOG_LEVEL: 'warn' }, (line) => lines.push(line));
    const { socket } = await startUpload(options);
    socket.destroy();
    await until(() => consumers[0]?.ended === 'failed');
    expect(lines.filter((line) => line.includes('ERROR'))).toEqual([]);
    expect((await sut.anonymous.get('/health/live')).status).toBe(200);
  });

  it('ends with 408 below the minimum rate', async () => {
    await start();
    const { responses } = await startUpload(options);
    advanceClock(20);
    expect(await responses).toMatchObject([{ status: 408, headers: { connection: 'close' } }]);
    await until(() => consumers[0]?.ended === 'failed');
  });

  it('ends with 400 after a malformed chunk', async () => {
    await start();
    const { socket, responses } = await startUpload(options);
    socket.write('nonsense\r\n');
    expect(await responses).toMatchObject([{ status: 400 }]);
    await until(() => consumers[0]?.ended === 'failed');
  });

  it('may take longer than HANDLER_TIMEOUT_MS and the request timeout of Node', async () => {
    await start({ HANDLER_TIMEOUT_MS: '500' });
    const connection = once(sut.app.getHttpServer(), 'connection');
    const { socket, responses, write } = await startUpload(options);
    const [serverSide] = await connection;
    const startedAt = performance.now();
    await until(() => {
      write('a line');
      return performance.now() - startedAt > 1_000;
    });
    const timeout = Object.assign(new Error('Request timeout'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' });
    sut.app.getHttpServer().emit('clientError', timeout, serverSide);
    write('last line');
    write('\r\n--x--');
    socket.write('0\r\n\r\n');
    expect(await responses).toMatchObject([{ status: 200 }]);
    expect(consumers[0]?.ended).toBe('finished');
  });

  it('is followed by the deadline of the handler', async () => {
    await start({ HANDLER_TIMEOUT_MS: '100' });
    const { promise, resolve } = Promise.withResolvers<void>();
    hold = promise;
    const { socket, responses, write } = await startUpload(options);
    write('\r\n--x--');
    socket.write('0\r\n\r\n');
    expect(await responses).toMatchObject([{ status: 503 }]);
    resolve();
  });

  it('uses at most half of CONCURRENCY_LIMIT', async () => {
    await start({ CONCURRENCY_LIMIT: '4' });
    await startUpload(options);
    const { socket } = await startUpload(options);
    expect((await upload(form({ file: csv(5 * MEGABYTE) }))).status).toBe(503);
    await sut.http.get('/v1/me').expect(200);
    socket.destroy();
    await until(async () => (await upload(form({ file: csv(5 * MEGABYTE) }))).status === 200);
  });

  it('ends at SHUTDOWN_TIMEOUT_MS', async () => {
    await start({ SHUTDOWN_TIMEOUT_MS: '300' });
    await startUpload(options);
    await sut.app.close();
    await until(() => consumers[0]?.ended !== undefined);
    expect(consumers[0]?.ended).toBe('failed');
  });
});

describe('a chunked stream', () => {
  afterEach(() => sut.close());

  it('ends with 413 above its maximum size', async () => {
    await start();
    const { responses, write } = await startUpload(RAW);
    for (let count = 0; count < 11; count++) write('a'.repeat(MEGABYTE));
    expect(await responses).toMatchObject([{ status: 413 }]);
    await until(() => consumers[0]?.ended === 'failed');
  });
});
