// Draws results.json for README.md as an SVG that is readable in light and dark themes.
import { SERVICES } from './services.mjs';
import { median } from './statistics.mjs';

const PANELS = [
  { cell: 'coldWarm', title: 'Cold start to ready, ms', better: 'less is better' },
  { cell: 'memoryLoaded', title: 'Memory after load, MB', better: 'less is better' },
  { cell: 'get', title: 'GET by id, requests/s', better: 'more is better' },
  { cell: 'create', title: 'Validated POST, requests/s', better: 'more is better' },
];

const COLUMNS = 2;
const PANEL = { width: 430, height: 170 };
const ROW = 24;
const BAR = { x: 116, width: 240, height: 16 };
const MARGIN = 12;
const FOOTER = 28;

const STYLE = `
    text { font: 13px system-ui, sans-serif; fill: #1f2328 }
    .title { font-weight: 600 }
    .quiet { fill: #59636e }
    .bar { fill: #afb8c1 }
    .ours { fill: #1a7f37 }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc }
      .quiet { fill: #9198a1 }
      .bar { fill: #59636e }
      .ours { fill: #3fb950 }
    }
  `;

/** @param results the content of results.json */
export function drawChart({ machine, cells, pace }) {
  const drawn = PANELS.filter(({ cell }) => cells[cell]); // memory is not available on every system
  const width = MARGIN * 2 + PANEL.width * COLUMNS;
  const height = MARGIN + PANEL.height * Math.ceil(drawn.length / COLUMNS) + FOOTER;
  const panels = drawn.map((panel, index) => {
    const x = MARGIN + PANEL.width * (index % COLUMNS);
    const y = MARGIN + PANEL.height * Math.floor(index / COLUMNS);
    return `  <g transform="translate(${x} ${y})">\n${drawPanel(panel, cells[panel.cell])}\n  </g>`;
  });
  const where = `${machine.cores} cores, Node ${machine.node}, PostgreSQL ${machine.postgresql}`;
  const footer = `Medians of ${pace.rounds} rounds in one run of npm run bench on ${where}.`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
  <title>This service beside bare servers and a stock Nest application</title>
  <style>${STYLE}</style>
${panels.join('\n')}
  <text class="quiet" x="${MARGIN}" y="${height - MARGIN}">${footer}</text>
</svg>
`;
}

function drawPanel({ title, better }, values) {
  const medians = Object.entries(SERVICES).map(([name, service]) => ({
    name,
    label: service.title,
    value: median(values[name]),
  }));
  const longest = Math.max(...medians.map(({ value }) => value));
  const rows = medians.map(({ name, label, value }, index) => {
    const y = 30 + ROW * index;
    const length = Math.round((BAR.width * value) / longest);
    return [
      `    <text x="${BAR.x - 8}" y="${y + 13}" text-anchor="end">${label}</text>`,
      `    <rect class="${name === 'ours' ? 'ours' : 'bar'}" x="${BAR.x}" y="${y}" width="${length}" height="${BAR.height}" rx="2"/>`,
      `    <text x="${BAR.x + length + 6}" y="${y + 13}">${Math.round(value)}</text>`,
    ].join('\n');
  });
  const head = `    <text y="16"><tspan class="title">${title}</tspan> <tspan class="quiet">${better}</tspan></text>`;
  return [head, ...rows].join('\n');
}
