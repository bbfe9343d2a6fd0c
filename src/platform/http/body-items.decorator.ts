import { createParamDecorator, type ExecutionContext, SetMetadata, type Type as Class } from '@nestjs/common';
import { ApiBody, ApiExtraModels, getSchemaPath } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { ArrayMaxSize, IsArray, IsObject, ValidateNested } from 'class-validator';
import type { Request } from 'express';
import { Problem } from '../problems/problem.js';
import { HAS_ITEMS } from './body-rule.js';
import { documentParameter } from './document-parameter.js';
import { RequestValidationPipe } from './request-validation.pipe.js';

const pipe = new RequestValidationPipe();

/** Injects a body that is an array of at most `max` items, each validated against its DTO, and documents it. */
export function BodyItems(type: Class, { max }: { max: number }): ParameterDecorator {
  class ItemsDto {
    @Type(() => type)
    @ValidateNested({ each: true })
    @IsObject({ each: true })
    @ArrayMaxSize(max)
    @IsArray()
    items!: object[];
  }
  const inject = async (_: unknown, context: ExecutionContext): Promise<object[]> => {
    const { body: items } = context.switchToHttp().getRequest<Request>();
    try {
      const dto = await pipe.transform(items && { items }, { type: 'body', metatype: ItemsDto });
      return (dto as ItemsDto).items;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const errors = error.details.errors?.map((each) => ({ ...each, pointer: each.pointer.replace('#/items', '#') }));
      throw new Problem(error.details, { errors });
    }
  };
  const schema = { type: 'array', maxItems: max, items: { $ref: getSchemaPath(type) } };
  const document = documentParameter(SetMetadata(HAS_ITEMS, true), ApiExtraModels(type), ApiBody({ schema }));
  return createParamDecorator(inject, [document])();
}
