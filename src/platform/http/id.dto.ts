import { IsUUID } from 'class-validator';

/** The path parameter of routes such as `/v1/orders/:id`. */
export class IdDto {
  @IsUUID()
  id!: string;
}
