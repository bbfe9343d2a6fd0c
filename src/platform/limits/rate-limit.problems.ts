import { defineProblem } from '../problems/problem.js';

export const tooManyRequests = defineProblem('too_many_requests', 429, 'Rate limit exceeded');
