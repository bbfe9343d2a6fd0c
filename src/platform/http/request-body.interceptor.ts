import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import { ROUTE_ARGS_METADATA, RouteParamtypes } from '@nestjs/common/internal';
import { json, type Request, type Response } from 'express';
import type { Observable } from 'rxjs';
import { Problem } from '../problems/problem.js';
import { contentTooLarge, malformedRequest, unsupportedMediaType } from '../problems/problem-types.js';

const parseJson = promisify(json({ limit: '100kb', type: () => true }));

/** Reads the JSON body of a route that has `@Body()`. It runs after the guards, so a rejected request is never read. */
@Injectable()
export class RequestBodyInterceptor implements NestInterceptor {
  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    if (declaresBody(context)) {
      const http = context.switchToHttp();
      await readBody(http.getRequest<Request>(), http.getResponse<Response>());
    }
    return next.handle();
  }
}

/** Nest keeps the parameters of a handler under keys such as "3:0", kind and position. */
function declaresBody(context: ExecutionContext): boolean {
  const { name } = context.getHandler();
  const parameters = Reflect.getMetadata(ROUTE_ARGS_METADATA, context.getClass(), name) as object | undefined;
  return Object.keys(parameters ?? {}).some((key) => key.startsWith(`${RouteParamtypes.BODY}:`));
}

async function readBody(request: Request, response: Response): Promise<void> {
  if (isEmpty(request)) return;
  // null without a body, false with one of another type. https://expressjs.com/en/5x/api.html#req.is
  const isJson = request.is('application/json');
  if (isJson === null) return;
  if (!isJson) throw new Problem(unsupportedMediaType);
  try {
    await parseJson(request, response);
  } catch (error) {
    throw toBodyProblem(error);
  }
}

const isEmpty = ({ headers }: IncomingMessage) => headers['content-length'] === '0';

/** The errors of Express' body parser: https://github.com/expressjs/body-parser#errors */
function toBodyProblem(cause: unknown): unknown {
  const { type, status, limit } = cause as { type?: string; status?: number; limit?: number };
  if (type === 'entity.too.large')
    return new Problem(contentTooLarge, { detail: `The limit is ${limit} bytes`, cause });
  if (type === 'entity.parse.failed')
    return new Problem(malformedRequest, { detail: 'The body is not valid JSON', cause });
  if (type === 'request.aborted' || type === 'request.size.invalid') {
    return new Problem(malformedRequest, { detail: 'The body ended too early', cause });
  }
  if (status === 415) return new Problem(unsupportedMediaType, { cause });
  return status === 400 ? new Problem(malformedRequest, { cause }) : cause;
}
