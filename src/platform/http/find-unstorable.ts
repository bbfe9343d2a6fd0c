import type { InvalidPartDto } from '../problems/problem.dto.js';
import { escapePointer } from './json-pointer.js';

type Fault = Pick<InvalidPartDto, 'pointer' | 'detail'>;

/** Deeper than any DTO, and shallow enough for every recursive function that sees the value later. */
const MAX_DEPTH = 20;

/** More than any DTO has. class-transformer compares each name with all others: 10,000 would stop the service for 0.2 s. */
const MAX_FIELDS = 1_000;

/**
 * Finds what a parsed JSON value must not contain wherever it stands: text that PostgreSQL cannot store
 * (https://www.postgresql.org/docs/current/datatype-json.html), names that class-transformer would drop or that could
 * reach a prototype, and nesting or fields without end.
 */
export function findUnstorable(input: unknown): Fault | undefined {
  const fault = faultIn(input, 0);
  return fault && { ...fault, pointer: `#${fault.pointer}` };
}

/** Its pointer begins at the value, and grows on the way back: only a request that is refused has to pay for it. */
function faultIn(value: unknown, depth: number): Fault | undefined {
  if (typeof value === 'string') return here(textFault(value));
  if (typeof value !== 'object' || value === null) return undefined;
  if (depth === MAX_DEPTH) return here(`must not be nested deeper than ${MAX_DEPTH} levels`);
  const fields = Object.entries(value);
  if (!Array.isArray(value) && fields.length > MAX_FIELDS) return here(`must not have more than ${MAX_FIELDS} fields`);
  for (const [key, child] of fields) {
    const ofName = textFault(key) ?? nameFault(key);
    const fault = ofName ? here(`its name ${ofName}`) : faultIn(child, depth + 1);
    if (fault) return { ...fault, pointer: `/${escapePointer(key)}${fault.pointer}` };
  }
  return undefined;
}

const here = (detail: string | undefined): Fault | undefined => (detail ? { pointer: '', detail } : undefined);

function textFault(text: string): string | undefined {
  if (text.includes('\0')) return 'must not contain a NUL character';
  if (!text.isWellFormed()) return 'must be well-formed Unicode, without half of a surrogate pair';
  return undefined;
}

function nameFault(name: string): string | undefined {
  return name in Object.prototype || name === 'prototype' ? 'is reserved' : undefined;
}
