import { defineProblem } from '../problems/problem.js';

export const credentialMissing = defineProblem('credential_missing', 401, 'Credential required');
export const credentialInvalid = defineProblem('credential_invalid', 401, 'Credential invalid');
export const scopeMissing = defineProblem('scope_missing', 403, 'Insufficient scope');
export const issuerUnavailable = defineProblem('issuer_unavailable', 503, 'Token issuer unavailable');
