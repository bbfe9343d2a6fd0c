import type { Socket } from 'node:net';
import { finished } from 'node:stream';
import { Injectable } from '@nestjs/common';
import type { Request, Response } from 'express';
import { type Observable, ReplaySubject } from 'rxjs';
import { Env } from '../config/env.js';
import { Problem } from '../problems/problem.js';
import { contentTooLarge, malformedRequest, overloaded, requestTimeout } from '../problems/problem-types.js';
import { clientAddress } from './client-address.js';

/** A body may take this long, and one second longer for each MIN_BYTES_PER_S that have arrived; it may pause for MAX_PAUSE_MS. */
const GRACE_MS = 5_000;
const MIN_BYTES_PER_S = 1_000;
const MAX_PAUSE_MS = 60_000;
const CHECK_INTERVAL_MS = 1_000;

/** Above a limit the oldest body is ended, so slow uploads never block a new one. */
const MAX_BODIES = 500;
const MAX_BODIES_PER_ADDRESS = 100;
/** A ceiling on memory, in total. */
const MAX_BUFFERED_BYTES = 50 * 1024 ** 2;

/** A body of which a part has not arrived. */
interface ArrivingBody {
  request: Request;
  address: string;
  /** The time until the body is too slow. */
  creditMs: number;
  checkedAt: number;
  /** Bytes read from the connection: before the body, and at the last check. */
  startBytes: number;
  checkedBytes: number;
  /** The maximum size of a body that the route reads as a stream. */
  maxStreamBytes?: number;
  bufferedBytes: number;
  reject(problem: Problem): void;
}

/** Reads request bodies, with limits on their size, their transfer rate and their number. */
@Injectable()
export class ArrivingBodies {
  /** Oldest first. At most one body is arriving on a connection. */
  private readonly bodies = new Map<Socket, ArrivingBody>();
  private bufferedBytes = 0;
  private timer?: NodeJS.Timeout;

  constructor(private readonly env: Env) {}

  /**
   * Reads the body of a request.
   * @throws {Problem} content_too_large, request_timeout or malformed_request
   */
  read(request: Request, maxBytes: number): Buffer | Promise<Buffer> {
    const { complete, headers } = request;
    const length = complete ? request.readableLength : Number(headers['content-length'] ?? 0);
    if (length > maxBytes) throw tooLarge(maxBytes);
    if (complete) return (request.read() as Buffer | null) ?? Buffer.alloc(0);
    if (request.rejection) throw request.rejection;
    return this.receive(request, maxBytes);
  }

  /**
   * Watches a body that the route reads as a stream. Streams use at most half of CONCURRENCY_LIMIT.
   * @returns fails with content_too_large, request_timeout or malformed_request; the stream ends with the response
   * @throws {Problem} content_too_large or overloaded
   */
  watch(request: Request, response: Response, maxBytes: number): Observable<never> {
    const failure = new ReplaySubject<never>();
    if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes);
    if (request.complete) return failure;
    if (request.rejection) throw request.rejection;
    const streams = Array.from(this.bodies.keys()).filter((socket) => this.isStreaming(socket));
    if (streams.length >= this.env.CONCURRENCY_LIMIT / 2) throw new Problem(overloaded);
    const body = this.add(request, (problem) => {
      failure.error(problem);
      finished(response, () => request.destroy());
    });
    body.maxStreamBytes = maxBytes;
    const end = () => this.bodies.get(request.socket) === body && this.bodies.delete(request.socket);
    request
      .once('end', end)
      .once('close', end)
      .once('aborted', () => failure.error(endedTooEarly()));
    return failure;
  }

  /** Returns whether a connection receives a body that the route reads as a stream. */
  isStreaming(socket: Socket): boolean {
    return this.bodies.get(socket)?.maxStreamBytes !== undefined;
  }

  /** Ends the body that is arriving on a connection, if there is one. */
  fail(socket: Socket, problem: Problem): void {
    const body = this.bodies.get(socket);
    this.bodies.delete(socket);
    body?.reject(problem);
  }

  private async receive(request: Request, maxBytes: number): Promise<Buffer> {
    const { socket } = request;
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    const chunks: Buffer[] = [];
    const body = this.add(request, reject);
    const append = (chunk: Buffer) => {
      body.bufferedBytes += chunk.length;
      if (body.bufferedBytes > maxBytes) return reject(tooLarge(maxBytes));
      chunks.push(chunk);
      this.bufferedBytes += chunk.length;
      if (this.bufferedBytes <= MAX_BUFFERED_BYTES) return;
      const oldest = Array.from(this.bodies).find(([, each]) => each.bufferedBytes > 0);
      if (oldest) this.fail(oldest[0], tooSlow());
    };
    const end = () => resolve(Buffer.concat(chunks));
    const abort = () => {
      if (!request.readableEnded) reject(endedTooEarly());
    };
    request.on('data', append).on('end', end).on('close', abort);
    try {
      return await promise;
    } finally {
      this.bodies.delete(socket);
      this.bufferedBytes -= chunks.reduce((sum, { length }) => sum + length, 0);
      request.off('data', append).off('end', end).off('close', abort).resume(); // discards the rest
    }
  }

  private add(request: Request, reject: ArrivingBody['reject']): ArrivingBody {
    const { socket } = request;
    const address = clientAddress(request);
    const oldest = this.bodies.keys().next().value;
    const siblings = [...this.bodies].filter(([, body]) => body.address === address);
    if (siblings.length >= MAX_BODIES_PER_ADDRESS) this.fail(siblings[0]![0], tooSlow());
    else if (oldest && this.bodies.size >= MAX_BODIES) this.fail(oldest, tooSlow());
    const body: ArrivingBody = {
      request,
      address,
      creditMs: GRACE_MS,
      checkedAt: performance.now(),
      startBytes: socket.bytesRead,
      checkedBytes: socket.bytesRead,
      bufferedBytes: 0,
      reject,
    };
    this.bodies.set(socket, body);
    this.timer ??= setInterval(() => this.check(), CHECK_INTERVAL_MS).unref();
    return body;
  }

  /** One timer checks all bodies, and stops when none is arriving. */
  private check(): void {
    const now = performance.now();
    for (const [socket, body] of this.bodies) {
      const { request, startBytes, maxStreamBytes = Infinity } = body;
      const arrivedMs = ((socket.bytesRead - body.checkedBytes) / MIN_BYTES_PER_S) * 1_000;
      // If data is waiting, the consumer of the stream is slow, not the client.
      const elapsedMs = request.readableLength > 0 ? 0 : now - body.checkedAt;
      body.creditMs = Math.min(body.creditMs + arrivedMs, MAX_PAUSE_MS) - elapsedMs;
      Object.assign(body, { checkedAt: now, checkedBytes: socket.bytesRead });
      if (body.creditMs < 0) this.fail(socket, tooSlow());
      else if (socket.bytesRead - startBytes > maxStreamBytes) this.fail(socket, tooLarge(maxStreamBytes));
    }
    if (this.bodies.size > 0) return;
    clearInterval(this.timer);
    this.timer = undefined;
  }
}

const tooLarge = (maxBytes: number) => new Problem(contentTooLarge, { detail: `The limit is ${maxBytes} bytes` });

const endedTooEarly = () => new Problem(malformedRequest, { detail: 'The body ended too early' });

const tooSlow = () => new Problem(requestTimeout, { headers: { Connection: 'close' } });
