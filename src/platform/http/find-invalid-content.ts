import type { InvalidPartDto } from '../problems/problem.dto.js';
import { escapePointer } from './json-pointer.js';

type Violation = Pick<InvalidPartDto, 'pointer' | 'detail'>;

/** Deeper than any DTO, and shallow enough for every recursive function that sees the value later. */
const MAX_DEPTH = 20;

/** More than any DTO has. class-transformer compares each name with all others: 10,000 would stop the service for 0.2 s. */
const MAX_FIELDS = 1_000;

/**
 * Finds what a parsed JSON value must not contain wherever it stands: text that PostgreSQL cannot store
 * (https://www.postgresql.org/docs/current/datatype-json.html), names that class-transformer would drop or that could
 * reach a prototype, and nesting or fields without end.
 */
export function findInvalidContent(input: unknown): Violation | undefined {
  const found = violationAt(input, 0);
  return found && { ...found, pointer: `#${found.pointer}` };
}

/** Its pointer begins at the value, and grows on the way back: only a request that is refused has to pay for it. */
function violationAt(value: unknown, depth: number): Violation | undefined {
  if (typeof value === 'string') return atValue(textViolation(value));
  if (typeof value !== 'object' || value === null) return undefined;
  if (depth === MAX_DEPTH) return atValue(`must not be nested deeper than ${MAX_DEPTH} levels`);
  const fields = Object.entries(value);
  if (!Array.isArray(value) && fields.length > MAX_FIELDS)
    return atValue(`must not have more than ${MAX_FIELDS} fields`);
  for (const [key, child] of fields) {
    const ofName = textViolation(key) ?? nameViolation(key);
    const found = ofName ? atValue(`its name ${ofName}`) : violationAt(child, depth + 1);
    if (found) return { ...found, pointer: `/${escapePointer(key)}${found.pointer}` };
  }
  return undefined;
}

const atValue = (detail: string | undefined): Violation | undefined => (detail ? { pointer: '', detail } : undefined);

function textViolation(text: string): string | undefined {
  if (text.includes('\0')) return 'must not contain a NUL character';
  if (!text.isWellFormed()) return 'must be well-formed Unicode, without half of a surrogate pair';
  return undefined;
}

function nameViolation(name: string): string | undefined {
  return name in Object.prototype || name === 'prototype' ? 'is reserved' : undefined;
}
