import { once } from 'node:events';
import fs, { mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import {
  Controller,
  Get,
  Header,
  Injectable,
  type MessageEvent,
  Next,
  Param,
  Query,
  Res,
  Sse,
  StreamableFile,
} from '@nestjs/common';
import type { NextFunction, Response } from 'express';
import { Observable, Subject } from 'rxjs';
import { DataSource, QueryFailedError } from 'typeorm';
import { Public } from '../../src/platform/auth/auth.decorators.js';
import { Problem } from '../../src/platform/problems/problem.js';
import { notFound } from '../../src/platform/problems/problem-types.js';
import { openRaw } from '../support/raw-http.js';
import { createTestApp, type TestApp } from '../support/test-app.js';
import { until } from '../support/until.js';

const ROWS = 100_000;
const BATCH_SIZE = 1_000;
const FILES = mkdtempSync(join(tmpdir(), 'files-'));

interface Row {
  id: number;
  name: string;
}

/** Quotes a value (https://www.rfc-editor.org/rfc/rfc4180), and prevents that a spreadsheet runs it as a formula. */
function csvValue(value: string | number): string {
  const text = typeof value === 'string' && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

@Injectable()
class RowsService {
  /** The exports that run. */
  running = 0;

  constructor(private readonly dataSource: DataSource) {}

  /** Reads all rows in batches. No connection is held while the client reads. */
  async *all({ failAfter = Infinity } = {}): AsyncGenerator<Row> {
    this.running++;
    try {
      let last = 0;
      for (;;) {
        if (last >= failAfter) throw new Error('The connection broke');
        const sql = 'SELECT id, name FROM test_rows WHERE id > $1 ORDER BY id LIMIT $2';
        const rows = await this.dataSource.query<Row[]>(sql, [last, BATCH_SIZE]);
        if (rows.length === 0) return;
        yield* rows;
        last = rows.at(-1)!.id;
      }
    } finally {
      this.running--;
    }
  }
}

const subscriptions: Subject<MessageEvent>[] = [];
let unsubscribed = 0;
/** The number of calls of a handler whose first stream fails. */
let attempts = 0;

@Controller('streams')
@Public()
class StreamsController {
  constructor(private readonly rows: RowsService) {}

  @Get('rows.ndjson')
  ndjson(@Query('failAfter') failAfter?: string): AsyncGenerator<Row> {
    return this.rows.all({ failAfter: failAfter === undefined ? undefined : Number(failAfter) });
  }

  @Get('rows.csv')
  @Header('Content-Type', 'text/csv; charset=utf-8')
  @Header('Content-Disposition', 'attachment; filename="rows.csv"')
  async *csv(): AsyncGenerator<string> {
    yield 'id,name\r\n';
    for await (const { id, name } of this.rows.all()) yield `${csvValue(id)},${csvValue(name)}\r\n`;
  }

  @Get('files/:name')
  file(@Param('name') name: string, @Res() response: Response, @Next() next: NextFunction): void {
    response.attachment(name).sendFile(name, { root: FILES }, (error?: Error) => {
      if (error && !response.headersSent) next(error);
    });
  }

  @Get('streamable/:name')
  streamable(@Param('name') name: string): StreamableFile {
    const path = join(FILES, name);
    return new StreamableFile(fs.createReadStream(path), { length: statSync(path).size });
  }

  @Get('interrupted')
  interrupted(): StreamableFile {
    const error = attempts++ === 0 && new QueryFailedError('SELECT', [], new Error('Connection terminated'));
    const read = async function* () {
      if (error) throw error;
      yield 'rows';
    };
    return new StreamableFile(Readable.from(read(), { objectMode: false }));
  }

  @Sse('events')
  events(@Query('missing') missing?: string): Observable<MessageEvent> {
    if (missing) throw new Problem(notFound);
    return new Observable((subscriber) => {
      const events = new Subject<MessageEvent>();
      subscriptions.push(events);
      subscriber.add(events.subscribe(subscriber));
      subscriber.add(() => unsubscribed++);
    });
  }
}

let sut: TestApp;
const sockets: Socket[] = [];
const lines: string[] = [];
const rows = () => sut.app.get(RowsService);

class StreamsModule {}
Reflect.defineMetadata('controllers', [StreamsController], StreamsModule);
Reflect.defineMetadata('providers', [RowsService], StreamsModule);

beforeAll(async () => {
  writeFileSync(join(FILES, 'report.txt'), '0123456789');
  writeFileSync(join(FILES, 'large.bin'), Buffer.alloc(50 * 1024 ** 2));
  const env = { DATABASE_POOL_MAX: '1', CONCURRENCY_LIMIT: '2', HANDLER_TIMEOUT_MS: '500', LOG_LEVEL: 'warn' };
  sut = await createTestApp({ modules: [StreamsModule], env, log: (line) => lines.push(line) });
  await sut.database.query('CREATE TABLE test_rows (id integer PRIMARY KEY, name text NOT NULL)');
  await sut.database.query(`INSERT INTO test_rows SELECT i, 'row ' || i FROM generate_series(1, ${ROWS}) AS i`);
});
afterEach(() => {
  jest.useRealTimers();
  jest.restoreAllMocks();
  for (const socket of sockets.splice(0)) socket.destroy();
});
afterAll(async () => {
  await sut.close();
  rmSync(FILES, { recursive: true });
});

/** Sends a request and does not read its response. */
async function stall(path: string): Promise<Socket> {
  const socket = await openRaw(sut.url, `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
  sockets.push(socket);
  await once(socket, 'readable');
  return socket;
}

describe('an export', () => {
  it('streams NDJSON', async () => {
    const response = await fetch(`${sut.url}/streams/rows.ndjson`);
    expect(response.headers.get('content-type')).toBe('application/x-ndjson');
    const text = await response.text();
    expect(text.startsWith('{"id":1,"name":"row 1"}\n{"id":2,')).toBe(true);
    expect(text.trimEnd().split('\n')).toHaveLength(ROWS);
  });

  it('streams CSV, quoted and without formulas', async () => {
    await sut.database.query(`UPDATE test_rows SET name = '=1+1,"x"' WHERE id = 2`);
    const response = await fetch(`${sut.url}/streams/rows.csv`);
    expect(response.headers.get('content-disposition')).toBe('attachment; filename="rows.csv"');
    const csv = (await response.text()).split('\r\n');
    expect(csv.slice(0, 3)).toEqual(['id,name', '1,row 1', `2,"'=1+1,""x"""`]);
    expect(csv).toHaveLength(ROWS + 2);
  });

  it('neither holds a connection nor counts as a running handler while the client does not read', async () => {
    await Promise.all([1, 2, 3].map(() => stall('/streams/rows.ndjson')));
    await sut.http.get('/v1/me').expect(200); // the pool has one connection
    expect(rows().running).toBe(3);
  });

  it('ends when the client closes the connection', async () => {
    const socket = await stall('/streams/rows.ndjson');
    expect(rows().running).toBeGreaterThan(0);
    socket.destroy();
    await until(() => rows().running === 0);
  });

  it('that fails before its first row returns a problem', async () => {
    const { body } = await sut.anonymous.get('/streams/rows.ndjson?failAfter=0').expect(500);
    expect(body).toMatchObject({ code: 'internal_error' });
  });

  it('that fails later closes the connection, so that the client sees an incomplete response', async () => {
    const response = await fetch(`${sut.url}/streams/rows.ndjson?failAfter=2000`);
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow('terminated');
    await until(() => lines.some((line) => line.includes('The connection broke')));
    await until(() => lines.some((line) => line.includes('GET /streams/rows.ndjson aborted internal_error')));
  });

  it('does not run for HEAD', async () => {
    const all = jest.spyOn(rows(), 'all');
    await sut.anonymous.head('/streams/rows.ndjson').expect(200);
    expect(all).toHaveBeenCalledTimes(1);
    expect(rows().running).toBe(0);
  });
});

describe('a file', () => {
  it('is sent whole or in ranges', async () => {
    const { headers } = await sut.anonymous.get('/streams/files/report.txt').expect(200, '0123456789');
    expect(headers).toMatchObject({
      'accept-ranges': 'bytes',
      'content-disposition': 'attachment; filename=report.txt',
    });
    const part = await sut.anonymous.get('/streams/files/report.txt').set('Range', 'bytes=2-4').expect(206, '234');
    expect(part.headers['content-range']).toBe('bytes 2-4/10');
  });

  it('that is missing, or outside of its folder, is a problem', async () => {
    const missing = await sut.anonymous.get('/streams/files/none.txt').expect(404);
    expect(missing.body).toMatchObject({ code: 'not_found' });
    expect(missing.headers).not.toHaveProperty('content-disposition');
    const outside = await sut.anonymous.get('/streams/files/..%2F..%2Fetc%2Fpasswd').expect(403);
    expect(outside.body).toMatchObject({ code: 'forbidden' });
  });

  it('that loses its database connection before the first bytes is read again', async () => {
    const response = await fetch(`${sut.url}/streams/interrupted`);
    expect(await response.text()).toBe('rows');
    expect(attempts).toBe(2);
  });

  it('without the requested range is a problem', async () => {
    const response = sut.anonymous.get('/streams/files/report.txt').set('Range', 'bytes=20-30');
    expect((await response.expect(416)).body).toMatchObject({ code: 'range_not_satisfiable' });
  });

  it.each(['files', 'streamable'])('that is truncated while it is sent closes the connection: %s', async (route) => {
    const count = lines.length;
    const path = join(FILES, 'truncated.bin');
    writeFileSync(path, Buffer.alloc(50 * 1024 ** 2));
    const socket = await stall(`/streams/${route}/truncated.bin`);
    truncateSync(path, 1_000);
    let received = 0;
    socket.on('data', (data: Buffer) => (received += data.length));
    await once(socket, 'close');
    expect(received).toBeLessThan(50 * 1024 ** 2);
    await until(() => lines.length > count);
    expect(lines.slice(count).map((line) => JSON.parse(line) as object)).toEqual([
      expect.objectContaining({
        severity: 'ERROR',
        message: expect.stringMatching(/^The source of the response ended after \d+ of 52428800 bytes$/),
      }),
    ]);
  });

  it.each(['files', 'streamable'])('that cannot be read to its end closes the connection: %s', async (route) => {
    const count = lines.length;
    jest.spyOn(fs, 'createReadStream').mockImplementation(() => {
      let reads = 0;
      const read = function read(this: Readable) {
        if (reads++ < 3) this.push(Buffer.alloc(100_000));
        else this.destroy(new Error('EIO: i/o error, read'));
      };
      return new Readable({ read }) as fs.ReadStream;
    });
    const response = await fetch(`${sut.url}/streams/${route}/large.bin`);
    expect(response.status).toBe(200);
    await expect(response.arrayBuffer()).rejects.toThrow('terminated');
    await until(() => lines.length > count);
    expect(lines.slice(count).map((line) => JSON.parse(line) as object)).toEqual([
      expect.objectContaining({ severity: 'ERROR', message: 'EIO: i/o error, read' }),
    ]);
  });

  it('that the client stops reading is no error', async () => {
    const count = lines.length;
    (await stall('/streams/files/large.bin')).destroy();
    await sut.anonymous.get('/streams/files/report.txt').expect(200);
    expect(lines.slice(count)).toEqual([]);
  });
});

describe('@Sse', () => {
  /** Opens a stream. `text()` returns the events so far. */
  async function open(headers = ''): Promise<{ text: () => string; events: Subject<MessageEvent>; socket: Socket }> {
    const count = subscriptions.length;
    const socket = await openRaw(sut.url, `GET /streams/events HTTP/1.1\r\nHost: x\r\n${headers}\r\n`);
    sockets.push(socket);
    let received = '';
    socket.setEncoding('utf8').on('data', (data: string) => (received += data));
    await until(() => subscriptions.length > count && received.includes('event-stream'));
    return { text: () => received, events: subscriptions.at(-1)!, socket };
  }

  it('stays open longer than HANDLER_TIMEOUT_MS, and does not count as a running handler', async () => {
    const streams = [await open(), await open(), await open()];
    const startedAt = performance.now();
    await until(() => performance.now() - startedAt > 700);
    await sut.http.get('/v1/me').expect(200);
    for (const { events, text } of streams) {
      events.next({ data: { total: 1 } });
      await until(() => text().includes('data: {"total":1}\n'));
    }
  });

  it('sends a heartbeat every 15 s', async () => {
    jest.useFakeTimers({
      now: Date.now(),
      doNotFake: ['nextTick', 'setImmediate', 'setTimeout', 'performance', 'queueMicrotask', 'Date'],
    });
    const { text } = await open();
    jest.advanceTimersByTime(14_999);
    expect(text()).not.toContain('heartbeat');
    jest.advanceTimersByTime(1);
    await until(() => text().includes(': heartbeat\n'));
  });

  it('ends the handler when the client closes the connection', async () => {
    const { socket } = await open();
    const count = unsubscribed;
    socket.destroy();
    await until(() => unsubscribed > count);
    expect(unsubscribed).toBe(count + 1);
  });

  it('ends at shutdown with a time to reconnect, from the last event', async () => {
    const database = sut.database;
    const main = sut;
    sut = await createTestApp({ modules: [StreamsModule], database });
    try {
      const first = await open('Last-Event-ID: a7\r\n');
      const second = await open();
      second.events.next({ data: 'x', id: 'b8' });
      await sut.app.close();
      await until(() => first.socket.readableEnded || first.socket.destroyed);
      expect(first.text()).toMatch(/id: a7\nretry: [1-5]\d{3}\n/);
      expect(second.text()).toMatch(/id: b8\nretry: [1-5]\d{3}\n/);
    } finally {
      sut = main;
    }
  });
});
