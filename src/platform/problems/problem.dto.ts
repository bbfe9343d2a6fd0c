/** A part of the request that is wrong */
export class InvalidPartDto {
  in!: 'body' | 'query' | 'path' | 'header';

  /**
   * JSON pointer into that part (RFC 6901, as a URI fragment)
   * @example '#/code'
   */
  pointer!: string;

  detail!: string;
}

/** The body of every error response: RFC 9457 problem details, with `code`, `errors` and `requestId` as extensions */
export class ProblemDto {
  type!: string;
  title!: string;
  status!: number;
  /** Never changes its meaning: decide by it */
  code!: string;
  detail?: string;
  errors?: InvalidPartDto[];
  /** As in X-Request-Id and in the log */
  requestId?: string;
}
