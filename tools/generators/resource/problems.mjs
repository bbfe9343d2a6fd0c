/** The problems of a resource: that it is not there, and each value that another one has. */
export function problemsOf({ code, word, singularVariable, table }, fields) {
  return [
    {
      variable: `${singularVariable}NotFound`,
      code: `${code}_not_found`,
      status: 404,
      title: `There is no such ${word}`,
      remedy: '',
    },
    ...fields
      .filter(({ unique }) => unique)
      .map(({ name, column }) => ({
        variable: `${singularVariable}${name[0].toUpperCase()}${name.slice(1)}Taken`,
        code: `${code}_${column}_taken`,
        status: 409,
        title: `Another ${word} has this ${name}`,
        constraint: { name: `UQ_${table}_${column}`, field: name },
        remedy: 'Choose another',
      })),
  ];
}

/** Adds them to the table of docs/problems.md. */
export function addProblemRows(text, problems) {
  const rows = problems.map(
    ({ code, status, title, remedy }) => `| \`${code}\` | ${status} | ${title} | ${remedy} |\n`,
  );
  const end = text.lastIndexOf('\n|') + 1;
  const endOfTable = text.indexOf('\n', end) + 1 || text.length;
  return text.slice(0, endOfTable) + rows.join('') + text.slice(endOfTable);
}
