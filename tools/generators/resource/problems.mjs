const capitalize = (text) => text[0].toUpperCase() + text.slice(1);
const wordsOf = (column) => column.replaceAll('_', ' ');

/**
 * The problems of a resource: not found, a conflict for each unique field, and an unknown row for each reference. Children
 * are found with their parent, and their conflicts have the pointer of its property.
 */
export function problemsOf(names, fields, parent) {
  const { code, word, singularVariable, table } = names;
  const pointer = (name) => parent?.property ?? name;
  const problems = [
    {
      variable: `${singularVariable}NotFound`,
      code: `${code}_not_found`,
      status: 404,
      title: `${capitalize(word)} not found`,
      remedy: '',
    },
    ...(fields.some(({ isSelf, onDelete }) => isSelf && onDelete === 'RESTRICT') ? [inUseProblem(names)] : []),
    ...fields
      .filter(({ unique }) => unique)
      .map(({ name, column }) => ({
        variable: `${singularVariable}${capitalize(name)}Taken`,
        code: `${code}_${column}_taken`,
        status: 409,
        title: `${capitalize(word)} ${name} already exists`,
        constraint: { name: `UQ_${table}_${column}`, field: pointer(name) },
        remedy: `Choose another ${name}`,
      })),
    ...fields
      .filter(({ target }) => target)
      .map(({ name, column, relation, target, constraint, onDelete }) => ({
        variable: `${singularVariable}${capitalize(relation)}Unknown`,
        code: `${code}_${column.replace(/_id$/, '')}_unknown`,
        status: 422,
        title: `Unknown ${wordsOf(column.replace(/_id$/, ''))}`,
        constraint: {
          name: constraint,
          field: pointer(name),
          inUse: onDelete === 'RESTRICT' ? inUseProblem(target).variable : undefined,
        },
        remedy: `Send the id of ${target.aWord}`,
      })),
  ];
  return parent ? problems.slice(1) : problems;
}

/** The problem of the deletion of a row that others reference. */
export function inUseProblem({ code, word, singularVariable }) {
  return {
    variable: `${singularVariable}InUse`,
    code: `${code}_in_use`,
    status: 409,
    title: `${capitalize(word)} in use`,
    remedy: 'Delete the records that reference it first',
  };
}

/** Adds the problems to the table of docs/problems.md. */
export function addProblemRows(text, problems) {
  const rows = problems.map(
    ({ code, status, title, remedy }) => `| \`${code}\` | ${status} | ${title} | ${remedy} |\n`,
  );
  const end = text.lastIndexOf('\n|') + 1;
  const endOfTable = text.indexOf('\n', end) + 1 || text.length;
  return text.slice(0, endOfTable) + rows.join('') + text.slice(endOfTable);
}
