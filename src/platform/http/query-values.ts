import { Transform } from 'class-transformer';

/** Turns the decimal digits of a query parameter into a number; everything else stays for the validator to refuse. */
export const ParseInteger = () =>
  Transform(({ value }) => (typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : value));

/** Turns `true` and `false` of a query parameter into a boolean; everything else stays for the validator to refuse. */
export const ParseBoolean = () =>
  Transform(({ value }) => (value === 'true' ? true : value === 'false' ? false : value));
