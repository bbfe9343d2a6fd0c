import { cores } from '../bench/machine.mjs';

/** Compares the figures of one target in one drill with their limits. A missing figure exceeds its limit. */
export function judge(drill, figures, isLong) {
  return Object.entries(drill.limits)
    .filter(([, { isLongOnly }]) => isLong || !isLongOnly)
    .map(([name, limit]) => ({
      name,
      limit: limit.text,
      value: figures[name],
      holds: figures[name] !== undefined && limit.holds(figures[name]),
    }));
}

export function format(value) {
  if (value === undefined) return 'n/a';
  if (typeof value !== 'number') return String(value);
  if (!Number.isFinite(value)) return 'never';
  return Number(value.toFixed(Math.abs(value) < 10 ? 1 : 0)).toLocaleString('en');
}

/** Formats the results for a terminal. Each drill has rows for each target, or the reason for their absence. */
export function textTable(results, targets) {
  const lines = [['drill', 'figure', 'limit', ...targets.map(({ name }) => name)]];
  for (const { drill, columns } of results) {
    for (const [name, { text }] of Object.entries(drill.limits)) {
      lines.push([drill.name, name, text, ...targets.map((target) => show(columns.get(target.name), name))]);
    }
  }
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  return lines.map((line) => line.map((text, column) => text.padEnd(widths[column])).join('  ')).join('\n');
}

/** Returns a table cell. */
function show({ rows }, name) {
  const row = rows.find((each) => each.name === name);
  if (row?.value === undefined) return 'n/a';
  return `${row.holds ? '✓' : '✗'} ${format(row.value)}`;
}

/** Returns template/faults/report.md. It has no date, so it changes only if the results change. */
export function markdown(results, targets, { postgres, command, isSoak }) {
  const notes = [];
  const mark = (note) => {
    if (!notes.includes(note)) notes.push(note);
    return ` <sup>${notes.indexOf(note) + 1}</sup>`;
  };
  const sections = results.map(({ drill, columns }) => {
    const lines = Object.entries(drill.limits).map(([name, { text }]) => {
      const cells = targets.map((target) => {
        const { rows, why } = columns.get(target.name);
        const note = why ?? (rows.some((row) => row.name === name && !row.holds) ? target.notes[name] : undefined);
        return show({ rows }, name) + (note ? mark(note) : '');
      });
      return `| ${name} | ${text} | ${cells.join(' | ')} |`;
    });
    return [
      `### ${drill.name}: ${drill.title}`,
      `| | limit | ${targets.map(({ name }) => name).join(' | ')} |\n| --- | --- | ${targets.map(() => '---').join(' | ')} |\n${lines.join('\n')}`,
    ].join('\n\n');
  });
  return [
    '# Results of the fault injection drills',
    `\`${command}\` wrote this page on ${cores} processors, with Node ${process.versions.node} and PostgreSQL ${postgres}. ` +
      'Each drill injects a fault while it sends requests at a constant rate. It then compares every acknowledged write with the database. ' +
      'The stock Nest application ([template/bench/baselines/stock](../bench/baselines/stock)) has the same routes and SQL. It is the output of `nest new`, extended as its documentation describes.',
    ...(isSoak ? [] : ['R15 ran for half a minute. With `--soak`, it runs for one hour.']),
    ...sections,
    ...(notes.length > 0 ? [notes.map((note, index) => `${index + 1}. ${note}`).join('\n')] : []),
    '',
  ].join('\n\n');
}
