// Compares the measurements with the goals.
import { SERVICES, titleOf } from './services.mjs';
import { median, minimum, ratio } from './statistics.mjs';

/** Maximum spread of the rounds of a ratio. */
const WIDEST_SPREAD = 0.1;

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

/** Returns the ratio or the difference, the spread and the verdict of each goal with measured cells. */
export function judge(cells) {
  return GOALS.map(withDefaults)
    .filter(({ cell, of, against, againstCell }) => cells[cell]?.[of] && (!against || cells[againstCell]?.[against]))
    .map((goal) => judgeGoal(cells, goal));
}

const withDefaults = (goal) => ({ of: 'ours', againstCell: goal.cell, ...goal });

function judgeGoal(cells, goal) {
  const { max = Infinity, maxMore = Infinity, stretch = -Infinity } = goal;
  const result = compare(cells, goal);
  const isMet = result.ratio <= max && !(result.more > maxMore);
  const verdict = isMet ? (result.ratio <= stretch ? 'met, stretch goal too' : 'met') : 'missed';
  return { ...goal, ...result, verdict: whyNotMeasured(cells, goal, result) ?? verdict };
}

function compare(cells, { cell, of, against, againstCell }) {
  const values = cells[cell][of];
  const value = valueOf(cell, values);
  if (!against) return { ratio: value, spread: 0 };
  const others = cells[againstCell][against];
  const rounds = ratio(roundsOf(cell, values), roundsOf(againstCell, others));
  const other = valueOf(againstCell, others);
  return { ratio: isCpuTime(cell) ? value / other : rounds.ratio, more: value - other, spread: rounds.spread };
}

function whyNotMeasured(cells, { cell, of, against }, { spread }) {
  const tooSlow = [of, against].find((name) => cells[cell][name]?.includes(undefined));
  if (tooSlow) return `not measured: ${titleOf(tooSlow)} cannot sustain the rate`;
  return spread <= WIDEST_SPREAD ? undefined : `not measured: the rounds spread over ${percent(spread)}`;
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

export function goalsTable(verdicts) {
  const rows = verdicts.map(({ cell, of, against, againstCell, max, maxMore, stretch, verdict, ...result }) => [
    of === 'ours' ? TITLES[cell][0] : `${TITLES[cell][0]}, ${titleOf(of)}`,
    againstCell === cell ? (against ? titleOf(against) : '') : TITLES[againstCell][0],
    maxMore === undefined ? number(result.ratio) : difference(result.more),
    against ? percent(result.spread) : '',
    `≤ ${max ?? difference(maxMore)}${stretch ? ` (stretch ${stretch})` : ''}`,
    verdict,
  ]);
  return table(['this service', 'beside', 'ratio', 'spread', 'goal', ''], rows);
}

function table(head, rows) {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column].length)));
  const line = (row) => row.map((text, column) => (column ? text.padStart(widths[column]) : text.padEnd(widths[0])));
  return [head, ...rows].map((row) => line(row).join('  ')).join('\n');
}

const number = (value) => (Number.isFinite(value) ? String(Number(value.toPrecision(3))) : '–');
const difference = (value) => (value < 0 ? number(value) : `+${number(value)}`);
const percent = (part) => (Number.isFinite(part) ? `${Math.round(part * 100)} %` : '–');
