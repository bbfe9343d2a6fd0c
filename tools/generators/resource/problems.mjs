const capitalize = (text) => text[0].toUpperCase() + text.slice(1);

/** The problems of a resource: not found, and a conflict for each unique field. */
export function problemsOf({ code, word, singularVariable, table }, fields) {
  return [
    {
      variable: `${singularVariable}NotFound`,
      code: `${code}_not_found`,
      status: 404,
      title: `${capitalize(word)} not found`,
      remedy: '',
    },
    ...fields
      .filter(({ unique }) => unique)
      .map(({ name, column }) => ({
        variable: `${singularVariable}${capitalize(name)}Taken`,
        code: `${code}_${column}_taken`,
        status: 409,
        title: `${capitalize(word)} ${name} already exists`,
        constraint: { name: `UQ_${table}_${column}`, field: name },
        remedy: `Choose another ${name}`,
      })),
  ];
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
