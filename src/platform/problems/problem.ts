import { HttpException } from '@nestjs/common';
import type { ProblemDto } from './problem.dto.js';

/** A kind of failure that clients can rely on: a code never changes its meaning or its status. */
export interface ProblemType {
  readonly code: string;
  readonly status: number;
  readonly title: string;
  /** The database constraint whose violation means this problem, and the field of the request that violates it. */
  readonly constraint?: { readonly name: string; readonly field: string };
}

/** The catalogue: every problem that this build can answer with, by code. docs/problems.md is held to it by a test. */
export const problemCatalog = new Map<string, ProblemType>();

/** Adds a problem to the catalogue. */
export function defineProblem(
  code: string,
  status: number,
  title: string,
  constraint?: ProblemType['constraint'],
): ProblemType {
  if (problemCatalog.has(code)) throw new Error(`The problem ${code} is defined twice`);
  const type = { code, status, title, constraint };
  problemCatalog.set(code, type);
  return type;
}

/** Throw it where a request cannot be fulfilled; the problem filter answers with it. */
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
