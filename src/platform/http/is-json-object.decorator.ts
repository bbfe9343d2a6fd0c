import { buildMessage, ValidateBy } from 'class-validator';

/** A JSON object of at most `maxBytes` as UTF-8 text and at most `maxDepth` levels, itself the first. */
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
