import { HttpException } from '@nestjs/common';
import type { ProblemDto } from './problem.dto.js';

/** A type of failure. Clients rely on it: a code never changes its meaning or status. */
export interface ProblemType {
  readonly code: string;
  readonly status: number;
  readonly title: string;
  /**
   * The database constraint whose violation is this problem, and the request field that violates it. A foreign key can also
   * reject the deletion of the referenced row: `inUse` is the problem of that direction.
   */
  readonly constraint?: { readonly name: string; readonly field: string; readonly inUse?: ProblemType };
}

/** Every problem type of this build by code. A test compares docs/problems.md with it. */
export const problemCatalog = new Map<string, ProblemType>();

/** Defines a problem type. @throws {Error} for a duplicate code */
export function defineProblem(
  code: string,
  status: number,
  title: string,
  constraint?: ProblemType['constraint'],
): ProblemType {
  if (problemCatalog.has(code)) throw new Error(`Duplicate problem code: ${code}`);
  const type = { code, status, title, constraint };
  problemCatalog.set(code, type);
  return type;
}

/** The exception of a failed request: ProblemFilter returns it as RFC 9457 problem details. */
export class Problem extends HttpException {
  readonly details: ProblemDto;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    { code, status, title }: ProblemType,
    {
      cause,
      headers = {},
      ...extensions
    }: Pick<ProblemDto, 'detail' | 'errors' | 'requestId'> & {
      cause?: unknown;
      headers?: Readonly<Record<string, string>>;
    } = {},
  ) {
    super(extensions.detail ?? title, status, { cause });
    this.details = { type: `urn:problem-type:${code}`, title, status, code, ...extensions };
    this.headers = headers;
  }
}
