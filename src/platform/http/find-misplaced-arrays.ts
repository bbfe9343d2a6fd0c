import { getMetadataStorage, ValidationTypes } from 'class-validator';
import { escapePointer } from './json-pointer.js';

interface NestedProperty {
  name: string;
  isList: boolean;
}

/** By the class of the DTO, because reading the metadata is expensive. */
const nestedProperties = new WeakMap<object, NestedProperty[]>();

/**
 * Returns a JSON pointer for each array in the place of a nested DTO. `@ValidateNested()` validates only the items of an
 * array, so an empty one would pass without the required properties.
 */
export function findMisplacedArrays(dto: unknown, pointer = '#'): string[] {
  if (!(dto instanceof Object)) return [];
  return nestedPropertiesOf(dto).flatMap(({ name, isList }) => {
    const value: unknown = Reflect.get(dto, name);
    const place = `${pointer}/${escapePointer(name)}`;
    if (!Array.isArray(value) || !isList) return check(value, place);
    return value.flatMap((item, index) => check(item, `${place}/${index}`));
  });
}

function nestedPropertiesOf(dto: object): NestedProperty[] {
  const type = dto.constructor;
  let properties = nestedProperties.get(type);
  if (!properties) {
    const rules = getMetadataStorage().getTargetValidationMetadatas(type, '', true, false);
    properties = rules
      .filter((rule) => rule.type === ValidationTypes.NESTED_VALIDATION)
      .map(({ propertyName, each }) => ({
        name: propertyName,
        isList: each || Reflect.getMetadata('design:type', dto, propertyName) === Array,
      }));
    nestedProperties.set(type, properties);
  }
  return properties;
}

const check = (value: unknown, place: string) => (Array.isArray(value) ? [place] : findMisplacedArrays(value, place));
