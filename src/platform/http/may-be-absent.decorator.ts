import { ValidateIf } from 'class-validator';

/** The property may be left out, but unlike with IsOptional, null is a value like any other. */
export const OptionalNotNull = () => ValidateIf((_, value) => value !== undefined);
