import { Transform } from 'class-transformer';
import { buildMessage, ValidateBy } from 'class-validator';

// RFC 3339, section 5.6, without leap seconds, which neither JavaScript nor PostgreSQL keeps.
const RFC_3339 =
  /^\d{4}-(?:0[1-9]|1[0-2])-(\d\d)T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/** An instant with its zone, from the year 2000 to 9999; the property becomes a Date of milliseconds. */
export function IsDateTime(): PropertyDecorator {
  const message = 'must be a date and time with a zone in the years 2000 to 9999, such as 2030-01-31T12:00:00Z';
  return (target, property) => {
    Transform(({ value }) => toInstant(value) ?? value)(target, property);
    ValidateBy({
      name: 'isDateTime',
      validator: {
        validate: (value) => value instanceof Date,
        defaultMessage: buildMessage((prefix) => `${prefix}${message}`),
      },
    })(target, property);
  };
}

function toInstant(value: unknown): Date | undefined {
  const match = typeof value === 'string' ? RFC_3339.exec(value) : null;
  if (!match) return undefined;
  // JavaScript takes 31 February for 3 March: the day must still be the same.
  const day = new Date(`${match[0].slice(0, 10)}T00:00:00Z`);
  if (day.getUTCDate() !== Number(match[1])) return undefined;
  const instant = new Date(match[0]);
  const year = instant.getUTCFullYear();
  return year >= 2000 && year <= 9999 ? instant : undefined;
}
