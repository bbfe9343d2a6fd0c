/** An entity with every field of the DTO. A nullable field may be undefined. */
type SourceOf<Dto> = { [Field in keyof Dto]: Dto[Field] | undefined };

/**
 * Copies the declared fields of a response DTO from an entity. A new column is not exposed until the DTO declares it.
 * Undefined becomes null.
 */
export function toDto<Dto extends object>(type: new () => Dto, entity: SourceOf<Dto>): Dto {
  const dto = new type(); // has every declared field, undefined
  for (const field of Object.keys(dto) as (keyof Dto)[]) dto[field] = entity[field] ?? (null as Dto[keyof Dto]);
  return dto;
}

/** Maps a page of entities: see {@link toDto}. */
export function toPageDto<Dto extends object>(
  type: new () => Dto,
  { items, nextCursor }: { items: SourceOf<Dto>[]; nextCursor: string | null },
): { items: Dto[]; nextCursor: string | null } {
  return { items: items.map((item) => toDto(type, item)), nextCursor };
}
