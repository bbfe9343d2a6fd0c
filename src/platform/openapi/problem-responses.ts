import { STATUS_CODES } from 'node:http';
import { getSchemaPath, type OpenAPIObject } from '@nestjs/swagger';
import { isHealthPath } from '../http/health-path.js';
import { ProblemDto } from '../problems/problem.dto.js';
import { Problem, problemCatalog, type ProblemType } from '../problems/problem.js';
import * as common from '../problems/problem-types.js';
import { PROBLEM_EXTENSION } from '../problems/api-problems.decorator.js';
import { type Operation, operationsOf } from './operations.js';

const header = (type: 'string' | 'integer', description: string) => ({ required: true, schema: { type }, description });
const challenge = {
  'WWW-Authenticate': header('string', 'The authentication scheme, and the error of the credential'),
};
const pause = { 'Retry-After': header('integer', 'Seconds to wait before a retry') };
/** The headers of the problems of a status. */
const HEADERS: Record<number, typeof challenge | typeof pause> = {
  401: challenge,
  403: challenge,
  429: pause,
  503: pause,
};

/** Adds error responses to each operation: the problems of ApiProblems and the common ones. */
export function addProblemResponses(document: OpenAPIObject): void {
  for (const { path, operation } of operationsOf(document)) addTo(operation, isHealthPath(path));
}

function addTo(operation: Operation, isHealth: boolean): void {
  const problems = [...ownProblems(operation), ...(isHealth ? [] : commonProblems(operation))];
  for (const [status, types] of Map.groupBy(problems, (type) => type.status)) {
    operation.responses[status] = {
      description: STATUS_CODES[status] ?? '',
      headers: HEADERS[status],
      content: {
        'application/problem+json': {
          schema: { $ref: getSchemaPath(ProblemDto) },
          examples: Object.fromEntries(types.map((type) => [type.code, { summary: type.title, value: example(type) }])),
        },
      },
    };
  }
}

function ownProblems(operation: Operation): ProblemType[] {
  const extensions = operation as unknown as Record<string, unknown>;
  const keys = Object.keys(extensions).filter((key) => key.startsWith(PROBLEM_EXTENSION));
  return keys.map((key) => {
    delete extensions[key];
    return problemCatalog.get(key.slice(PROBLEM_EXTENSION.length))!;
  });
}

function commonProblems({ parameters = [], requestBody }: Operation): ProblemType[] {
  return [
    ...(parameters.length > 0 || requestBody ? [common.invalidRequest] : []),
    ...(requestBody ? [common.malformedRequest, common.contentTooLarge, common.unsupportedMediaType] : []),
    common.headersTooLarge,
    common.tooManyRequests,
    common.internalError,
    common.handlerTimeout,
    common.databaseUnavailable,
    common.databaseTimeout,
    common.overloaded,
  ];
}

function example(type: ProblemType) {
  const errors = type.constraint && [
    { in: 'body' as const, pointer: `#/${type.constraint.field}`, detail: type.title },
  ];
  return new Problem(type, { errors, requestId: '5f0c5f3e-6f7a-4a0e-9c7e-0d3e5a1b2c3d' }).details;
}
