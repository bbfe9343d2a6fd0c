import { applyDecorators, type NestInterceptor, type Type, UseInterceptors } from '@nestjs/common';
import { ApiBody } from '@nestjs/swagger';
import type { Request } from 'express';

/** The body of the route may be left out, and counts as an empty object. Any other route refuses to do without its own. */
export const OptionalBody = (type: Type) =>
  applyDecorators(ApiBody({ type, required: false }), UseInterceptors(absentIsEmpty));

const absentIsEmpty: NestInterceptor = {
  intercept(context, next) {
    context.switchToHttp().getRequest<Request>().body ??= {};
    return next.handle();
  },
};
