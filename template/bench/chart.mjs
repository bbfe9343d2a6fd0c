// Draws results.json for README.md as an SVG that is readable in light and dark themes.
import { valueOf } from './report.mjs';
import { SERVICES } from './services.mjs';

const PANELS = [
  { cell: 'coldWarm', title: 'Cold start to ready, ms' },
  { cell: 'get', title: 'CPU time of a GET by id, µs' },
  { cell: 'list', title: 'CPU time of a list of 20, µs' },
  { cell: 'create', title: 'CPU time of a validated POST, µs' },
];

const COLUMNS = 2;
const PANEL = { width: 430, height: 194 };
const ROW = 24;
const BAR = { x: 152, width: 204, height: 16 };
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
export function drawChart({ machine, cells }) {
  const drawn = PANELS.filter(({ cell }) => cells[cell]); // CPU times are not available on every system
  const width = MARGIN * 2 + PANEL.width * COLUMNS;
  const height = MARGIN + PANEL.height * Math.ceil(drawn.length / COLUMNS) + FOOTER;
  const panels = drawn.map((panel, index) => {
    const x = MARGIN + PANEL.width * (index % COLUMNS);
    const y = MARGIN + PANEL.height * Math.floor(index / COLUMNS);
    return `  <g transform="translate(${x} ${y})">\n${drawPanel(panel, cells)}\n  </g>`;
  });
  const where = `${machine.cores} cores, Node ${machine.node}, PostgreSQL ${machine.postgresql}`;
  const footer = `Lower is better. Medians of cold starts, minimums of CPU times, in one run of npm run bench on ${where}.`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
  <title>This service beside bare servers and Nest applications</title>
  <style>${STYLE}</style>
${panels.join('\n')}
  <text class="quiet" x="${MARGIN}" y="${height - MARGIN}">${footer}</text>
</svg>
`;
}

function drawPanel({ cell, title }, cells) {
  const bars = Object.entries(SERVICES).map(([name, service]) => ({
    name,
    label: service.title,
    value: valueOf(cell, cells[cell][name]),
  }));
  const longest = Math.max(...bars.map(({ value }) => value));
  const rows = bars.map(({ name, label, value }, index) => {
    const y = 30 + ROW * index;
    const length = Math.round((BAR.width * value) / longest);
    return [
      `    <text x="${BAR.x - 8}" y="${y + 13}" text-anchor="end">${label}</text>`,
      `    <rect class="${name === 'ours' ? 'ours' : 'bar'}" x="${BAR.x}" y="${y}" width="${length}" height="${BAR.height}" rx="2"/>`,
      `    <text x="${BAR.x + length + 6}" y="${y + 13}">${Math.round(value)}</text>`,
    ].join('\n');
  });
  const head = `    <text y="16" class="title">${title}</text>`;
  return [head, ...rows].join('\n');
}
