import { IsInt, Matches, Min } from 'class-validator';
import { OptionalNotNull } from '../http/validators.js';

/** For tools that change a resource with a `version`. */
export class IfMatchArgument {
  /** The `version` that you have read: the change fails if the resource has another one */
  @OptionalNotNull()
  @IsInt()
  @Min(1)
  ifMatch?: number;
}

/** For tools whose service method runs in IdempotencyService.run(). */
export class IdempotencyKeyArgument {
  /** A new random text for each intended effect; a repeated call with the same text has no second effect */
  @OptionalNotNull()
  @Matches(/^[\x21-\x7e]{1,64}$/, { message: 'must be 1 to 64 visible ASCII characters' })
  idempotencyKey?: string;
}
