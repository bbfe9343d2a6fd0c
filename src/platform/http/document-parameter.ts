import { applyDecorators, type ParamDecoratorEnhancer } from '@nestjs/common';

/** Lets a parameter decorator document its route: applies method decorators to the method of the parameter. */
export function documentParameter(...decorators: MethodDecorator[]): ParamDecoratorEnhancer {
  return (target, key) => {
    applyDecorators(...decorators)(target, key, Object.getOwnPropertyDescriptor(target, key!));
  };
}
