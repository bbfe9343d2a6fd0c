import { describe, expect, it } from '@jest/globals';
import { ForbiddenException } from '@nestjs/common';
import { DatabaseError } from 'pg';
import { QueryFailedError } from 'typeorm';
import { defineProblem, Problem } from './problem.js';
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

  describe('a foreign key', () => {
    const customerInUse = defineProblem('spec_customer_in_use', 409, 'Customer in use');
    const constraint = 'FK_spec_orders_customer';
    defineProblem('spec_customer_unknown', 422, 'Unknown customer', {
      ...{ name: constraint, field: 'customerId', inUse: customerInUse },
    });
    defineProblem('spec_parent_unknown', 422, 'Unknown parent', { name: 'FK_spec_cascading', field: 'parentId' });

    it.each(['Key (customer_id)=(1) is not present in table "customers".', 'Key is not present in table "customers".'])(
      'is the problem of the field for the detail %j',
      (detail) => {
        const { details } = toProblem(queryFailure({ code: '23503', constraint, detail }));
        expect(details).toMatchObject({ code: 'spec_customer_unknown', errors: [{ pointer: '#/customerId' }] });
      },
    );

    it.each([
      ['23503', 'Key (id)=(1) is still referenced from table "orders".'],
      ['23503', 'Key is still referenced from table "orders".'],
      ['23001', 'Key (id)=(1) is referenced from table "orders".'],
      ['23001', undefined],
    ])('is the problem of the referenced row, without a pointer, for %s with the detail %j', (code, detail) => {
      const { details } = toProblem(queryFailure({ code, constraint, detail }));
      expect(details.code).toBe('spec_customer_in_use');
      expect(details.errors).toBeUndefined();
    });

    it('maps the deletion of a referenced row to internal_error if it has no problem for it', () => {
      const failure = queryFailure({ code: '23001', constraint: 'FK_spec_cascading' });
      expect(toProblem(failure).details.code).toBe('internal_error');
    });
  });

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

  it('maps an exception of Nest to its status and message', () => {
    const { details } = toProblem(new ForbiddenException('Not your order'));
    expect(details).toMatchObject({ status: 403, code: 'forbidden', detail: 'Not your order' });
  });
});
