import { IsUUID } from 'class-validator';
import { LowerCase } from './validators.js';

/** The path parameter of routes such as `/v1/orders/:id`. */
export class IdDto {
  @LowerCase()
  @IsUUID()
  id!: string;
}
