import { type ExecutionContext, Injectable, SetMetadata } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { AuthGuard } from '@nestjs/passport';

const IS_PUBLIC = 'isPublic';

export const Public = () => SetMetadata(IS_PUBLIC, true);

/** https://docs.nestjs.com/recipes/passport#enable-authentication-globally */
@Injectable()
export class ApiKeyGuard extends AuthGuard('headerapikey') {
  constructor(private readonly reflector: Reflector) {
    super();
  }

  override canActivate(context: ExecutionContext) {
    const targets = [context.getHandler(), context.getClass()];
    return this.reflector.getAllAndOverride<boolean>(IS_PUBLIC, targets) || super.canActivate(context);
  }
}
