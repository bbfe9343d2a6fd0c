/** What an entity must have to become a DTO: every field of the DTO, absent values allowed where null is. */
type SourceOf<Dto> = { [Field in keyof Dto]: Dto[Field] | undefined };

/**
 * Copies the fields that a response DTO declares from an entity, and no other: a new column is not exposed until the DTO
 * names it. An absent value becomes null.
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
