import type { InvalidPartDto } from '../errors/problem.dto.js';
import { escapePointer } from './json-pointer.js';

/** Deeper than any DTO, and shallow enough for every recursive function that sees the value later. */
const MAX_DEPTH = 20;

/** More than any DTO has. class-transformer compares each name with all others: 10,000 would stop the service for 0.2 s. */
const MAX_FIELDS = 1_000;

/**
 * Finds what a parsed JSON value must not contain wherever it stands: text that PostgreSQL cannot store
 * (https://www.postgresql.org/docs/current/datatype-json.html), names that class-transformer would drop or that could
 * reach a prototype, and nesting or fields without end.
 */
export function findUnstorable(input: unknown): Pick<InvalidPartDto, 'pointer' | 'detail'> | undefined {
  const pending = [{ value: input, pointer: '#', depth: 0 }];
  for (const { value, pointer, depth } of pending) {
    if (typeof value === 'string') {
      const detail = textFault(value);
      if (detail) return { pointer, detail };
    }
    if (typeof value !== 'object' || value === null) continue;
    if (depth === MAX_DEPTH) return { pointer, detail: `must not be nested deeper than ${MAX_DEPTH} levels` };
    const fields = Object.entries(value);
    if (!Array.isArray(value) && fields.length > MAX_FIELDS)
      return { pointer, detail: `must not have more than ${MAX_FIELDS} fields` };
    for (const [key, child] of fields) {
      const childPointer = `${pointer}/${escapePointer(key)}`;
      const detail = textFault(key) ?? nameFault(key);
      if (detail) return { pointer: childPointer, detail: `its name ${detail}` };
      pending.push({ value: child, pointer: childPointer, depth: depth + 1 });
    }
  }
  return undefined;
}

function textFault(text: string): string | undefined {
  if (text.includes('\0')) return 'must not contain a NUL character';
  if (!text.isWellFormed()) return 'must be well-formed Unicode, without half of a surrogate pair';
  return undefined;
}

function nameFault(name: string): string | undefined {
  return name in Object.prototype || name === 'prototype' ? 'is reserved' : undefined;
}
