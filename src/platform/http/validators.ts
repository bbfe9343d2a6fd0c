import { Transform } from 'class-transformer';
import { buildMessage, ValidateBy, ValidateIf } from 'class-validator';

/** Allows the property to be absent. Unlike with IsOptional, null is validated like any other value. */
export const OptionalNotNull = () => ValidateIf((_, value) => value !== undefined);

/**
 * Validates the length of text in code points, as JSON Schema and the OpenAPI document count it. class-validator's decorators
 * of the same names do not count variation selectors, which belong to emoji.
 */
export const Length = (min: number, max: number) =>
  ValidateBy({
    name: 'length',
    validator: {
      validate: (value) => typeof value === 'string' && isBetween(min, countCodePoints(value), max),
      defaultMessage: buildMessage((prefix) => `${prefix}$property must have ${min} to ${max} characters`),
    },
  });

/** Validates the maximum length of text: see {@link Length}. */
export const MaxLength = (max: number) => Length(0, max);

const isBetween = (min: number, value: number, max: number) => min <= value && value <= max;
const countCodePoints = (text: string) => Array.from(text).length;

/** Parses the decimal digits of a query parameter; the validator sees any other value as it was sent. */
export const ParseInteger = () =>
  Transform(({ value }) => (typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : value));

/** Parses `true` and `false` of a query parameter; the validator sees any other value as it was sent. */
export const ParseBoolean = () =>
  Transform(({ value }) => (value === 'true' ? true : value === 'false' ? false : value));

/** Parses a query parameter that may be repeated to an array, in which each value is unique. */
export const ParseList = () =>
  Transform(({ value }): unknown => (value === undefined ? undefined : [...new Set([value].flat())]));

/** Converts ASCII letters to upper case. String.toUpperCase() would also turn ß into SS. */
export const UpperCase = () => TransformText((text) => text.replaceAll(/[a-z]+/g, (part) => part.toUpperCase()));

/** Converts ASCII letters to lower case: the form in which PostgreSQL returns a uuid. */
export const LowerCase = () => TransformText((text) => text.replaceAll(/[A-Z]+/g, (part) => part.toLowerCase()));

const TransformText = (change: (text: string) => string) =>
  Transform(({ value }) => (typeof value === 'string' ? change(value) : value));

// RFC 3339, section 5.6, without leap seconds, which neither JavaScript nor PostgreSQL stores.
const RFC_3339 =
  /^\d{4}-(?:0[1-9]|1[0-2])-(\d\d)T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/** Validates an instant with a time zone in the years 2000 to 9999; the property becomes a Date with milliseconds. */
export function IsDateTime(): PropertyDecorator {
  const message = 'must be a date and time with a zone in the years 2000 to 9999, such as 2030-01-31T12:00:00Z';
  return (target, property) => {
    Transform(({ value }) => parseDateTime(value) ?? value)(target, property);
    ValidateBy({
      name: 'isDateTime',
      validator: {
        validate: (value) => value instanceof Date,
        defaultMessage: buildMessage((prefix) => `${prefix}${message}`),
      },
    })(target, property);
  };
}

function parseDateTime(value: unknown): Date | undefined {
  const match = typeof value === 'string' ? RFC_3339.exec(value) : null;
  if (!match) return undefined;
  // JavaScript reads 31 February as 3 March: the day must be unchanged.
  const day = new Date(`${match[0].slice(0, 10)}T00:00:00Z`);
  if (day.getUTCDate() !== Number(match[1])) return undefined;
  const instant = new Date(match[0]);
  const year = instant.getUTCFullYear();
  return year >= 2000 && year <= 9999 ? instant : undefined;
}

/** Validates a calendar date in the years 0001 to 9999, such as 2030-01-31. It stays text: a Date would add a time and a zone. */
export const IsCalendarDate = () =>
  ValidateBy({
    name: 'isCalendarDate',
    validator: {
      validate: (value) => typeof value === 'string' && isCalendarDate(value),
      defaultMessage: buildMessage((prefix) => `${prefix}$property must be a date such as 2030-01-31`),
    },
  });

function isCalendarDate(text: string): boolean {
  if (!/^(?!0000)\d{4}-\d\d-\d\d$/.test(text)) return false;
  const date = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text); // JavaScript reads 31 February as 3 March
}

/** Validates a JSON object of at most `maxBytes` as UTF-8 text and `maxDepth` levels; the object itself is the first. */
export function IsJsonObject({ maxBytes, maxDepth }: { maxBytes: number; maxDepth: number }): PropertyDecorator {
  return ValidateBy({
    name: 'isJsonObject',
    validator: {
      validate: (value) =>
        typeof value === 'object' &&
        value !== null &&
        !Array.isArray(value) &&
        depthOf(value) <= maxDepth &&
        Buffer.byteLength(JSON.stringify(value)) <= maxBytes,
      defaultMessage: buildMessage(
        (prefix) => `${prefix}$property must be a JSON object of at most ${maxBytes} bytes and ${maxDepth} levels`,
      ),
    },
  });
}

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}
