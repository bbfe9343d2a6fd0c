import { defineProblem } from '../problems/problem.js';

export const idempotencyKeyInUse = defineProblem('idempotency_key_in_use', 409, 'Idempotency-Key in use');
export const idempotencyKeyReused = defineProblem(
  'idempotency_key_reused',
  422,
  'Idempotency-Key reused with a different request',
);
