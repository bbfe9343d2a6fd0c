import { applyDecorators } from '@nestjs/common';
import { ApiExtension } from '@nestjs/swagger';
import type { ProblemType } from './problem.js';

export const PROBLEM_EXTENSION = 'x-problem-';

/** Documents the problems that a route can return, besides the common ones. */
export const ApiProblems = (...types: ProblemType[]) =>
  applyDecorators(...types.map(({ code }) => ApiExtension(PROBLEM_EXTENSION + code, true)));
