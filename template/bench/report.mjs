// Compares the measurements with the goals.
import { SERVICES } from './services.mjs';
import { median, ratio } from './statistics.mjs';

/** Maximum spread of the rounds of a ratio. */
const WIDEST_SPREAD = 0.1;
/** Below this CPU usage of its core, a service was limited by the load generator or the database. */
const BUSY = 0.9;
/** Above this CPU usage by other processes, a measurement is invalid. */
const BUSY_OTHERS = 0.05;

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
  get: ['GET by id', '/s'],
  list: ['list of 20, filtered', '/s'],
  create: ['validated POST', '/s'],
  redeem: ['redeem', '/s'],
  p99: ['p99 at 70 % of own saturation', 'ms'],
  p999: ['p99.9 at 70 % of own saturation', 'ms'],
  p99Same: ["p99 at 70 % of Express' saturation", 'ms'],
  p999Same: ["p99.9 at 70 % of Express' saturation", 'ms'],
  settings: ['GET by id, production settings', '/s'],
};

/** `max` and `min` limit the ratio to the service in `against`, or the value itself. */
const GOALS = [
  { cell: 'coldWarm', against: 'http', max: 3 },
  { cell: 'coldWarm', against: 'stock', max: 0.4 },
  { cell: 'coldDropped', against: 'http', max: 3 },
  { cell: 'coldDropped', against: 'stock', max: 0.4 },
  { cell: 'files', max: 15 },
  { cell: 'layer', max: 5 },
  { cell: 'memoryIdle', against: 'express', max: 1.5 },
  { cell: 'memoryLoaded', against: 'express', max: 1.5 },
  { cell: 'get', against: 'express', min: 0.85 },
  { cell: 'get', against: 'stock', min: 1.5 },
  { cell: 'list', against: 'express', min: 0.85 },
  { cell: 'list', against: 'stock', min: 1.5 },
  { cell: 'create', against: 'express', min: 0.85 },
  { cell: 'redeem', against: 'express', min: 0.85 },
  { cell: 'p99', against: 'express', max: 1.3 },
  { cell: 'p99Same', against: 'express', max: 1.3 },
  { cell: 'settings', against: 'off', min: 0.85 },
];

/** Returns the ratio, spread and verdict of each goal with a measured cell. */
export function judge(cells) {
  return GOALS.filter(({ cell }) => cells[cell]).map((goal) => judgeGoal(cells, goal));
}

function judgeGoal(cells, goal) {
  const { cell, against, max = Infinity, min = -Infinity } = goal;
  const { ours } = cells[cell];
  const result = against ? ratio(ours, cells[cell][against]) : { ratio: median(ours), spread: 0 };
  const isMet = result.ratio >= min && result.ratio <= max;
  return { ...goal, ...result, verdict: whyNotMeasured(cells, goal, result) ?? (isMet ? 'met' : 'missed') };
}

function whyNotMeasured(cells, { cell, against }, { spread }) {
  const tooSlow = ['ours', against].find((name) => cells[cell][name]?.includes(undefined));
  if (tooSlow) return `not measured: ${SERVICES[tooSlow].title} cannot sustain the rate`;
  if (!(spread <= WIDEST_SPREAD)) return `not measured: the rounds spread over ${percent(spread)}`;
  const usual = (what, name) => median(cells[`${cell} ${what}`]?.[name] ?? [NaN]);
  if (usual('others', 'ours') > BUSY_OTHERS) return 'not measured: another process used the core of the service';
  const idle = ['ours', against].find((name) => usual('cpu', name) < BUSY);
  return idle && `not measured: the load generator or the database limited ${SERVICES[idle].title}`;
}

/** Returns the median of every cell and service as lines of text. */
export function mediansTable(cells) {
  const names = Object.keys(SERVICES);
  const rows = Object.entries(TITLES)
    .filter(([cell]) => cells[cell]?.ours)
    .map(([cell, [title, unit]]) => {
      const medians = names.map((name) => (cells[cell][name] ? number(median(cells[cell][name])) : ''));
      return [unit ? `${title}, ${unit}` : title].concat(medians);
    });
  return table(['', ...names.map((name) => SERVICES[name].title)], rows);
}

export function goalsTable(verdicts) {
  const rows = verdicts.map(({ cell, against, max, min, ratio: value, spread, verdict }) => [
    TITLES[cell][0],
    titleOf(against),
    number(value),
    against ? percent(spread) : '',
    max === undefined ? `≥ ${min}` : `≤ ${max}`,
    verdict,
  ]);
  return table(['this service', 'beside', 'ratio', 'spread', 'goal', ''], rows);
}

function titleOf(against) {
  return against === 'off' ? 'everything off' : (SERVICES[against]?.title ?? '');
}

function table(head, rows) {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column].length)));
  const line = (row) => row.map((text, column) => (column ? text.padStart(widths[column]) : text.padEnd(widths[0])));
  return [head, ...rows].map((row) => line(row).join('  ')).join('\n');
}

const number = (value) => (Number.isFinite(value) ? String(Number(value.toPrecision(3))) : '–');
const percent = (part) => (Number.isFinite(part) ? `${Math.round(part * 100)} %` : '–');
