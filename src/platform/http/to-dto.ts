/** An entity with every field of the DTO. A nullable field may be undefined. */
type SourceOf<Dto> = { [Field in keyof Dto]: Dto[Field] | undefined };

/** The DTOs of fields with embedded rows. */
type NestedDtos<Dto> = { [Field in keyof Dto]?: new () => object };

/**
 * Copies the declared fields of a response DTO from an entity. A new column is not exposed until the DTO declares it.
 * Undefined becomes null; an embedded row that was not read is omitted.
 */
export function toDto<Dto extends object>(
  type: new () => Dto,
  entity: SourceOf<Dto>,
  nested: NestedDtos<Dto> = {},
): Dto {
  const dto = new type(); // has every declared field, undefined
  for (const field of Object.keys(dto) as (keyof Dto)[]) {
    const value = entity[field];
    const nestedType = nested[field];
    if (nestedType && value) dto[field] = embed(nestedType, value) as Dto[keyof Dto];
    else if (nestedType && value === undefined) delete dto[field];
    else dto[field] = value ?? (null as Dto[keyof Dto]);
  }
  return dto;
}

/** Copies the declared fields of an embedded row, or of several. Undefined fields are rows that were not read. */
function embed(type: new () => object, row: object): object {
  if (Array.isArray(row)) return row.map((each: object) => embed(type, each));
  const fields = Object.keys(new type()).map((field): [string, unknown] => [field, Reflect.get(row, field)]);
  return Object.fromEntries(fields.filter(([, value]) => value !== undefined));
}

/** Maps a page of entities: see {@link toDto}. */
export function toPageDto<Dto extends object>(
  type: new () => Dto,
  { items, nextCursor }: { items: SourceOf<Dto>[]; nextCursor: string | null },
  nested: NestedDtos<Dto> = {},
): { items: Dto[]; nextCursor: string | null } {
  return { items: items.map((item) => toDto(type, item, nested)), nextCursor };
}
