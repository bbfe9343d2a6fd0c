// Compares the measurements with the goals.
import { SERVICES, titleOf } from './services.mjs';
import { median, middleHalf, minimum } from './statistics.mjs';

const CPU_TIME = 'µs CPU';

/** Title and unit of each cell. */
export const TITLES = {
  coldWarm: ['cold start, page cache warm', 'ms'],
  coldDropped: ['cold start, page cache dropped', 'ms'],
  files: ['JavaScript files loaded at boot', ''],
  connections: ['connections to the database at boot', ''],
  bootTrips: ['round trips to the database at boot', ''],
  requestTrips: ['round trips of a GET by id', ''],
  layer: ['application layer of the image', 'MB'],
  layerPacked: ['application layer of the image, compressed', 'MB'],
  memoryIdle: ['memory (RSS), idle', 'MB'],
  memoryLoaded: ['memory (RSS), after load', 'MB'],
  first: ['GET by id, first requests of a process', CPU_TIME],
  get: ['GET by id', CPU_TIME],
  list: ['list of 20, filtered', CPU_TIME],
  create: ['validated POST', CPU_TIME],
  redeem: ['redeem', CPU_TIME],
  variants: ['GET by id', CPU_TIME],
  p99: ['p99 at 70 % of own saturation', 'ms'],
  p999: ['p99.9 at 70 % of own saturation', 'ms'],
  p99Same: ["p99 at 70 % of Express' saturation", 'ms'],
  p999Same: ["p99.9 at 70 % of Express' saturation", 'ms'],
};

/**
 * Each goal concerns this service, or the variant in `of`. `max` limits the ratio to the service in `against`, or the value
 * itself; `maxMore` limits the difference, in the unit of the cell. `againstCell` is the cell of the other value.
 */
const GOALS = [
  { cell: 'coldWarm', against: 'http', max: 3 },
  { cell: 'coldWarm', against: 'stock', max: 0.4 },
  { cell: 'coldWarm', of: 'unreachable', against: 'ours', maxMore: 15 },
  { cell: 'coldDropped', against: 'http', max: 3 },
  { cell: 'coldDropped', against: 'stock', max: 0.4 },
  { cell: 'files', max: 15 },
  { cell: 'layer', max: 5 },
  { cell: 'memoryIdle', of: 'limited', against: 'express', max: 1.5 },
  { cell: 'memoryLoaded', of: 'limited', against: 'express', max: 1.3 },
  { cell: 'get', against: 'express', max: 1.8, stretch: 1.6 },
  { cell: 'get', against: 'stock', max: 1 },
  { cell: 'get', of: 'limited', against: 'usual', max: 0.6 },
  { cell: 'list', against: 'express', max: 2 },
  { cell: 'list', against: 'stock', max: 1 },
  { cell: 'create', against: 'express', max: 2 },
  { cell: 'create', against: 'stock', max: 1 },
  { cell: 'redeem', against: 'express', max: 2 },
  { cell: 'redeem', against: 'stock', max: 1 },
  { cell: 'first', against: 'ours', againstCell: 'get', max: 2 },
  { cell: 'variants', of: 'limited', against: 'ours', max: 1.03 },
  { cell: 'variants', of: 'unsampled', against: 'ours', maxMore: 10 },
  { cell: 'variants', of: 'sampled', against: 'ours', maxMore: 60 },
  { cell: 'variants', of: 'unreachable', against: 'sampled', max: 1.02 },
  { cell: 'variants', of: 'mcp', against: 'ours', maxMore: 800 },
  { cell: 'p99', against: 'express', max: 1.3 },
  { cell: 'p99Same', against: 'express', max: 1.3 },
];

const isCpuTime = (cell) => TITLES[cell][1] === CPU_TIME;

/** Returns the minimum of CPU times, because disturbances only increase them, and the median of other values. */
export const valueOf = (cell, values) => (isCpuTime(cell) ? minimum : median)(values);

/** Returns the value of each round. */
const roundsOf = (cell, values) => (isCpuTime(cell) ? values.map((windows) => minimum(windows)) : values);

/**
 * Returns for each goal with measured cells the median `value` of the rounds, which is a ratio or a difference, the `range` of
 * their middle half, and the verdict.
 */
export function judge(cells) {
  return GOALS.map(withDefaults)
    .filter(({ cell, of, against, againstCell }) => cells[cell]?.[of] && (!against || cells[againstCell]?.[against]))
    .map((goal) => judgeGoal(cells, goal));
}

const withDefaults = (goal) => ({ of: 'ours', againstCell: goal.cell, ...goal });

function judgeGoal(cells, goal) {
  const rounds = compareRounds(cells, goal);
  const range = middleHalf(rounds);
  return { ...goal, value: median(rounds), range, verdict: whyNotMeasured(cells, goal) ?? verdictOf(range, goal) };
}

/** Compares the services in each round, because a temporary slowdown of the machine affects both. */
function compareRounds(cells, { cell, of, against, againstCell, maxMore }) {
  const values = roundsOf(cell, cells[cell][of]);
  if (!against) return values;
  const others = roundsOf(againstCell, cells[againstCell][against]);
  return values.map((value, round) => (maxMore === undefined ? value / others[round] : value - others[round]));
}

function whyNotMeasured(cells, { cell, of, against }) {
  const tooSlow = [of, against].find((name) => cells[cell][name]?.includes(undefined));
  return tooSlow && `not measured: ${titleOf(tooSlow)} cannot sustain the rate`;
}

function verdictOf([low, high], { max, maxMore, stretch = -Infinity }) {
  const limit = maxMore ?? max;
  if (high <= stretch) return 'met, stretch goal too';
  if (high <= limit) return 'met';
  return low > limit ? 'missed' : 'not decided: the rounds differ';
}

/** Returns the values of every cell and service as lines of text. */
export function servicesTable(cells) {
  const names = [...Object.keys(SERVICES), 'limited'];
  const rows = Object.entries(TITLES)
    .filter(([cell]) => cells[cell]?.ours && cell !== 'variants')
    .flatMap(([cell, [title, unit]]) =>
      statisticsOf(cell).map(({ suffix, statistic }) => {
        const values = names.map((name) => (cells[cell][name] ? number(statistic(cells[cell][name])) : ''));
        return [[title, suffix, unit].filter(Boolean).join(', ')].concat(values);
      }),
    );
  return table(['', ...names.map(titleOf)], rows);
}

/** Returns the CPU time of each variant of this service as lines of text, or nothing if it was not measured. */
export function variantsTable({ variants }) {
  if (!variants) return '';
  const base = minimum(variants.ours);
  const rows = Object.entries(variants).map(([name, values]) => [
    titleOf(name),
    number(minimum(values)),
    number(medianOfWindows(values)),
    difference(minimum(values) - base),
  ]);
  return table([`GET by id, ${CPU_TIME}`, 'minimum', 'median', 'difference'], rows);
}

const medianOfWindows = (rounds) => median(rounds.flat());

function statisticsOf(cell) {
  if (!isCpuTime(cell)) return [{ statistic: median }];
  return [
    { suffix: 'minimum', statistic: minimum },
    { suffix: 'median', statistic: medianOfWindows },
  ];
}

const GOALS_HEAD = ['this service', 'compared with', 'value', 'middle half', 'goal', 'verdict'];

export const goalsTable = (verdicts) => table(GOALS_HEAD, verdicts.map(goalRow));

/** Returns the text of README.md with a table of these goals. */
export function withGoals(readme, verdicts) {
  const rows = [GOALS_HEAD, GOALS_HEAD.map(() => '--'), ...verdicts.map(goalRow)];
  const goals = rows.map((row) => `| ${row.join(' | ')} |`).join('\n');
  return readme.replace(/(?<=<!-- goals -->\n)[^]*(?=<!-- \/goals -->)/, () => `\n${goals}\n\n`);
}

function goalRow({ cell, of, against, againstCell, max, maxMore, stretch, value, range, verdict }) {
  const shown = maxMore === undefined ? number : difference;
  const unit = against && maxMore === undefined ? '' : ` ${TITLES[cell][1]}`;
  return [
    of === 'ours' ? TITLES[cell][0] : `${TITLES[cell][0]}, ${titleOf(of)}`,
    againstCell === cell ? (against ? titleOf(against) : '') : TITLES[againstCell][0],
    `${shown(value)}${unit}`.trimEnd(),
    against ? range.map(shown).join(' to ') : '',
    `≤ ${shown(maxMore ?? max)}${stretch ? ` (stretch ${stretch})` : ''}`,
    verdict,
  ];
}

function table(head, rows) {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column].length)));
  const line = (row) => row.map((text, column) => (column ? text.padStart(widths[column]) : text.padEnd(widths[0])));
  return [head, ...rows].map((row) => line(row).join('  ')).join('\n');
}

const number = (value) => (Number.isFinite(value) ? String(Number(value.toPrecision(3))) : '–');
const difference = (value) => (value < 0 ? number(value) : `+${number(value)}`);
