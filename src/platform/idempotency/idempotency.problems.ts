import { defineProblem } from '../problems/problem.js';

export const idempotencyKeyInUse = defineProblem(
  'idempotency_key_in_use',
  409,
  'A request with this Idempotency-Key is still being worked on',
);
export const idempotencyKeyReused = defineProblem(
  'idempotency_key_reused',
  422,
  'This Idempotency-Key came with another request before',
);
