import type { EntityMetadata } from 'typeorm';

/** Upper bound per entity: requests determine a part of the text, such as the limit of a list. */
const MAX_STATEMENTS = 200;

/** Keeps statements, because TypeORM would build the SQL again for each call. */
export class SqlCache<Statement extends string | object> {
  private readonly statements = new WeakMap<EntityMetadata, Map<string, Statement>>();

  /** @param key everything that determines the SQL, except the metadata */
  get(metadata: EntityMetadata, key: string, build: () => Statement): Statement {
    const known = this.statements.get(metadata) ?? new Map<string, Statement>();
    const found = known.get(key);
    if (found) return found;
    const statement = build();
    if (known.size === MAX_STATEMENTS) known.delete(known.keys().next().value!); // the oldest
    this.statements.set(metadata, known.set(key, statement));
    return statement;
  }
}
