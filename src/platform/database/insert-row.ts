import type { DeepPartial, ObjectLiteral, Repository } from 'typeorm';

/**
 * Inserts a row with one statement, and returns it with its generated columns. Cascades do not apply: `save()` plans them,
 * which takes most of its CPU time.
 */
export async function insertRow<Row extends ObjectLiteral>(
  repository: Repository<Row>,
  values: DeepPartial<NoInfer<Row>>,
): Promise<Row> {
  const row = repository.create(values);
  const many = [...repository.metadata.oneToManyRelations, ...repository.metadata.manyToManyRelations];
  const ignored = many.find(({ propertyName }) => row[propertyName] !== undefined);
  if (ignored) throw new Error(`insertRow() does not insert ${ignored.propertyName}: insert them in the transaction`);
  await repository.insert(row);
  return row;
}

/** Inserts rows with one statement, such as those that belong to another one. */
export async function insertRows<Row extends ObjectLiteral>(
  repository: Repository<Row>,
  values: DeepPartial<NoInfer<Row>>[],
): Promise<void> {
  await repository.insert(repository.create(values));
}
