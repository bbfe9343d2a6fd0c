import { applyDecorators, type NestInterceptor, type Type, UseInterceptors } from '@nestjs/common';
import { ApiBody } from '@nestjs/swagger';
import type { Request } from 'express';

/** Makes the body optional: an absent body counts as an empty object. Without it, a route with `@Body()` requires one. */
export const OptionalBody = (type: Type) =>
  applyDecorators(ApiBody({ type, required: false }), UseInterceptors(emptyBodyInterceptor));

const emptyBodyInterceptor: NestInterceptor = {
  intercept(context, next) {
    context.switchToHttp().getRequest<Request>().body ??= {};
    return next.handle();
  },
};
