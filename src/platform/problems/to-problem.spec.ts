import { describe, expect, it } from '@jest/globals';
import { ForbiddenException } from '@nestjs/common';
import { DatabaseError } from 'pg';
import { QueryFailedError } from 'typeorm';
import { Problem } from './problem.js';
import { preconditionFailed } from './problem-types.js';
import { toProblem } from './to-problem.js';

const queryFailure = (fields: Partial<DatabaseError>) =>
  new QueryFailedError(
    'SELECT 1',
    [],
    Object.assign(new DatabaseError('failed', 6, 'error'), { severity: 'ERROR' }, fields),
  );

describe('toProblem', () => {
  it('returns a problem unchanged', () => {
    const problem = new Problem(preconditionFailed);
    expect(toProblem(problem)).toBe(problem);
  });

  it.each([
    ['08006', 503, 'database_unavailable'],
    ['53300', 503, 'database_unavailable'],
    ['57P01', 503, 'database_unavailable'],
    ['57P03', 503, 'database_unavailable'],
    ['25006', 503, 'database_unavailable'],
    ['57014', 503, 'database_timeout'],
    ['55P03', 503, 'database_timeout'],
    ['40001', 503, 'database_timeout'],
    ['40P01', 503, 'database_timeout'],
    ['22021', 400, 'invalid_request'],
    ['22P05', 400, 'invalid_request'],
    ['42P01', 500, 'internal_error'],
    ['42501', 500, 'internal_error'],
  ])('maps SQLSTATE %s to %i %s', (code, status, problem) => {
    expect(toProblem(queryFailure({ code })).details).toMatchObject({ status, code: problem });
  });

  it.each(['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'EPIPE', 'ENOTFOUND', 'EAI_AGAIN', 'EMFILE', 'EADDRNOTAVAIL'])(
    'maps %s to database_unavailable',
    (code) => {
      const { details, headers } = toProblem(Object.assign(new Error('connect'), { code }));
      expect(details.code).toBe('database_unavailable');
      expect(headers).toEqual({ 'Retry-After': '1' });
    },
  );

  it('maps an unknown constraint to internal_error', () => {
    const { details } = toProblem(queryFailure({ code: '23505', constraint: 'UQ_unknown' }));
    expect(details.code).toBe('internal_error');
  });

  it.each([new Error('secret'), new TypeError('secret'), 'secret', null, undefined, { secret: true }])(
    'maps %p to internal_error without its content',
    (error) => {
      const { details } = toProblem(error);
      expect(details).toMatchObject({ status: 500, code: 'internal_error' });
      expect(JSON.stringify(details)).not.toContain('secret');
    },
  );

  it('keeps the status of an HTTP exception, without its message', () => {
    const { details } = toProblem(new ForbiddenException('secret'));
    expect(details.status).toBe(403);
    expect(JSON.stringify(details)).not.toContain('secret');
  });
});
