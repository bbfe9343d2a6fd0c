import type { EntityMetadata } from 'typeorm';

/** Upper bound per entity: requests determine a part of the text, such as the limit of a list. */
const MAX_STATEMENTS = 200;

/** Keeps statements, because TypeORM would build the SQL again for each call. */
export class SqlCache<Statement> {
  private readonly statements = new WeakMap<EntityMetadata, Map<string, Statement>>();

  /** @param key everything that determines the result of `build`, except the metadata */
  get(metadata: EntityMetadata, key: string, build: () => Statement): Statement {
    const known = this.statements.get(metadata) ?? new Map<string, Statement>();
    this.statements.set(metadata, known);
    if (known.has(key)) return known.get(key)!;
    if (known.size === MAX_STATEMENTS) known.delete(known.keys().next().value!); // the oldest
    const statement = build();
    known.set(key, statement);
    return statement;
  }
}
