import {
  applyDecorators,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
  type Type,
  UseInterceptors,
} from '@nestjs/common';
import { ApiCreatedResponse, ApiHeader, ApiOkResponse, ApiResponse } from '@nestjs/swagger';
import { tap } from 'rxjs';
import { httpContext } from './http-context.js';

const etagHeader = {
  ETag: {
    required: true,
    schema: { type: 'string' as const, example: '"1"' },
    description: 'The version of the representation',
  },
};

const locationHeader = {
  Location: { required: true, schema: { type: 'string' as const }, description: 'The path of the created resource' },
};

/** Documents a 200 response with a versioned resource. */
export const ApiOk = (type: Type) => ApiOkResponse({ type, headers: etagHeader });

/** Documents a 201 response with a versioned resource, and sends its Location: the path of the request and the id. */
export const ApiCreated = (type: Type) =>
  applyDecorators(
    ApiCreatedResponse({ type, headers: { ...etagHeader, ...locationHeader } }),
    UseInterceptors(locationInterceptor),
  );

/** Documents a conditional GET: 304 when the client has the current representation. */
export const ApiIfNoneMatch = () =>
  applyDecorators(
    ApiHeader({
      name: 'If-None-Match',
      required: false,
      description: 'Return the resource only if it has another ETag',
      schema: { type: 'string', example: '"1"' },
    }),
    ApiResponse({ status: 304, description: 'The client has the current representation', headers: etagHeader }),
  );

const locationInterceptor: NestInterceptor<{ id: string }> = {
  intercept(context: ExecutionContext, next: CallHandler<{ id: string }>) {
    const { request, response } = httpContext(context, ApiCreated.name);
    return next.handle().pipe(tap(({ id }) => response.location(`${request.path.replace(/\/$/, '')}/${id}`)));
  },
};
