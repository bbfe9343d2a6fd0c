import type { InvalidPartDto } from '../problems/problem.dto.js';
import { escapePointer } from './json-pointer.js';

type Violation = Pick<InvalidPartDto, 'pointer' | 'detail'>;

/** Deeper than any DTO, and shallow enough for every recursive function that sees the value later. */
const MAX_DEPTH = 20;

/** More than any DTO has. class-transformer compares all names with each other: 10,000 would block the service for 0.2 s. */
const MAX_FIELDS = 1_000;

/** Of a number that parseJson() has replaced. */
const CHANGED_NUMBER =
  'must be a number that double precision keeps unchanged, up to 9007199254740991: send other numbers as text';

/**
 * Returns the first invalid content of a parsed JSON value. Invalid for all DTOs are text that PostgreSQL cannot store
 * (https://www.postgresql.org/docs/current/datatype-json.html), numbers that would change, excessive nesting and too many
 * fields. So are property names that class-transformer drops or that could reach a prototype.
 */
export function findInvalidContent(input: unknown): Violation | undefined {
  const found = violationAt(input, 0);
  return found && { ...found, pointer: `#${found.pointer}` };
}

/** The pointer is built on the way back, so only rejected requests pay for it. */
function violationAt(value: unknown, depth: number): Violation | undefined {
  if (typeof value === 'string') return atValue(textViolation(value));
  if (Number.isNaN(value)) return atValue(CHANGED_NUMBER);
  if (typeof value !== 'object' || value === null) return undefined;
  if (depth === MAX_DEPTH) return atValue(`must not be nested deeper than ${MAX_DEPTH} levels`);
  const fields = Object.entries(value);
  if (!Array.isArray(value) && fields.length > MAX_FIELDS)
    return atValue(`must not have more than ${MAX_FIELDS} fields`);
  for (const [key, child] of fields) {
    const nameProblem = textViolation(key) ?? nameViolation(key);
    const found = nameProblem ? atValue(`its name ${nameProblem}`) : violationAt(child, depth + 1);
    if (found) return { ...found, pointer: `/${escapePointer(key)}${found.pointer}` };
  }
  return undefined;
}

const atValue = (detail: string | undefined): Violation | undefined => (detail ? { pointer: '', detail } : undefined);

function textViolation(text: string): string | undefined {
  if (text.includes('\0')) return 'must not contain a NUL character';
  if (!text.isWellFormed()) return 'must be well-formed Unicode, without unpaired surrogates';
  return undefined;
}

function nameViolation(name: string): string | undefined {
  return name in Object.prototype || name === 'prototype' ? 'is reserved' : undefined;
}
