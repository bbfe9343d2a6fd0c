import { applyDecorators, type NestInterceptor, type Type, UseInterceptors } from '@nestjs/common';
import { ApiBody } from '@nestjs/swagger';
import { httpContext } from './http-context.js';

/** Makes the body optional: an absent body counts as an empty object. Without it, a route with `@Body()` requires one. */
export const OptionalBody = (type: Type) =>
  applyDecorators(ApiBody({ type, required: false }), UseInterceptors(emptyBodyInterceptor));

const emptyBodyInterceptor: NestInterceptor = {
  intercept(context, next) {
    httpContext(context, OptionalBody.name).request.body ??= {};
    return next.handle();
  },
};
