/** An invalid part of the request */
export class InvalidPartDto {
  in!: 'body' | 'query' | 'path' | 'header';

  /**
   * JSON pointer into that part (RFC 6901, as a URI fragment)
   * @example '#/code'
   */
  pointer!: string;

  detail!: string;
}

/** The body of every error response: RFC 9457 problem details, with `code`, `errors`, `requestId` and `traceId` as extensions */
export class ProblemDto {
  type!: string;
  title!: string;
  status!: number;
  /** Stable: handle errors by it */
  code!: string;
  detail?: string;
  errors?: InvalidPartDto[];
  /** Equals X-Request-Id and the log's requestId */
  requestId?: string;
  /** The trace of the request, if it is recorded */
  traceId?: string;
}
