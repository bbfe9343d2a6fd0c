import { defineProblem } from '../errors/problem.js';

export const overloaded = defineProblem('overloaded', 503, 'The service has as much to do as it can');
