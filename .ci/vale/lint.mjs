// `npm run lint:docs`: checks the prose of documents, comments, messages and test titles with Vale and the rules in
// styles/Plain.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { extract } from './extract.mjs';

const USAGE = `Usage: npm run lint:docs -- [--json | --count] [PATH...]
  --json   prints the findings as JSON
  --count  prints the number of findings by rule and by folder
Exit codes: 0 without findings, 1 with findings, without Vale or for a wrong option`;

const VALE = 'github.com/vale-cli/vale/v3/cmd/vale@v3.22.0';
// Generated files, the list of changes, and sentences that are wrong on purpose.
const EXCLUDED = [
  'CHANGELOG.md',
  'package-lock.json',
  'template/faults/report.md',
  'template/pipeline/proof.md',
  'template/prose/fixture',
];

try {
  const { values: options, positionals: paths } = parseArgs({
    options: { json: { type: 'boolean' }, count: { type: 'boolean' }, help: { type: 'boolean' } },
    allowPositionals: true,
  });
  if (options.help) console.log(USAGE);
  else {
    assertVale();
    report(lint(listFiles(paths)), options);
  }
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

function listFiles(paths) {
  const pathspecs = paths.length > 0 ? paths : ['.', ...EXCLUDED.map((path) => `:!${path}`)];
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--', ...pathspecs];
  const listed = execFileSync('git', args, { encoding: 'utf8' }).split('\0');
  const files = listed.filter((file) => file && existsSync(file));
  if (files.length === 0) throw new Error(`There are no files to check: ${paths.join(' ')}`);
  return files;
}

function lint(files) {
  const folder = mkdtempSync(join(tmpdir(), 'prose-'));
  try {
    const origins = new Map();
    for (const file of files) {
      for (const { name, text, marks } of textsOf(file)) {
        mkdirSync(dirname(join(folder, name)), { recursive: true });
        writeFileSync(join(folder, name), text);
        origins.set(name, { file, marks });
      }
    }
    return Object.entries(runVale(folder)).flatMap(([name, alerts]) =>
      alerts.map((alert) => toFinding(origins.get(name), alert)),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The texts for Vale: a Markdown document unchanged, or one text per passage of a source file. */
function textsOf(file) {
  const source = readFileSync(file, 'utf8');
  if (file.endsWith('.md')) return [{ name: file, text: source }];
  return extract(file, source).map(({ kind, text, marks }, index) => ({
    name: `${file}.${index}.${kind}.txt`,
    text,
    marks,
  }));
}

function assertVale() {
  if (spawnSync('vale', ['--version']).error) throw new Error(`vale is not on PATH. Install it: go install ${VALE}`);
}

function runVale(cwd) {
  const args = ['--no-global', `--config=${join(import.meta.dirname, 'vale.ini')}`, '--output=JSON', '.'];
  const { status, stdout, stderr, error } = spawnSync('vale', args, { cwd, encoding: 'utf8', maxBuffer: 2 ** 28 });
  if (error) throw error;
  if (status > 1) throw new Error(`vale failed: ${stdout}${stderr}`);
  return JSON.parse(stdout);
}

function toFinding({ file, marks }, { Line, Span, Check, Message, Match }) {
  const offset = Span[0] - 1;
  const mark = marks?.findLast((each) => each.offset <= offset) ?? { offset: 0, line: Line, column: 1 };
  return {
    file,
    line: mark.line,
    column: mark.column + offset - mark.offset,
    rule: Check,
    message: Message,
    match: Match,
  };
}

function report(findings, { json, count }) {
  findings.sort(
    (one, other) => one.file.localeCompare(other.file) || one.line - other.line || one.column - other.column,
  );
  if (findings.length > 0) process.exitCode = 1;
  if (json) return console.log(JSON.stringify(findings, undefined, 2));
  if (count) {
    printCounts(findings, ({ rule }) => rule);
    printCounts(findings, ({ file }) => dirname(file).split('/').slice(0, 2).join('/'));
  } else {
    for (const { file, line, column, rule, message } of findings)
      console.log(`${file}:${line}:${column}  ${message}  ${rule}`);
  }
  if (findings.length > 0) console.log(`\nFindings: ${findings.length}`);
}

function printCounts(findings, keyOf) {
  const groups = Object.entries(Object.groupBy(findings, keyOf)).map(([key, { length }]) => [key, length]);
  for (const [key, length] of groups.toSorted(([, one], [, other]) => other - one))
    console.log(String(length).padStart(6), key);
  console.log();
}
