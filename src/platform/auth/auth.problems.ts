import { defineProblem } from '../problems/problem.js';

export const credentialMissing = defineProblem('credential_missing', 401, 'This needs an API key or a bearer token');
export const credentialInvalid = defineProblem('credential_invalid', 401, 'The API key or bearer token is not valid');
export const scopeMissing = defineProblem('scope_missing', 403, 'The credential does not have the scope for this');
export const issuerUnavailable = defineProblem(
  'issuer_unavailable',
  503,
  'The issuer of the token cannot be reached at the moment',
);
