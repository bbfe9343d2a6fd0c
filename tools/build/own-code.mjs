// Prepares the service's own modules for the bundle: gives each module its place in dist/src/, and finds worker threads and
// other entry points. Reports code that cannot run in a bundle.
import { existsSync, globSync, readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { dirname, extname, join, relative, resolve } from 'node:path';
import { calleeOf, inspectModule, UNKNOWN } from './modules.mjs';

const CODE = /\.[cm]?js$/;
const READS_FILE = /^(readFile|createReadStream|readdir|opendir|exists|stat|access|open)(Sync)?$/;
const USE_URL = `Use new URL('./FILE', import.meta.url)`;
const USE_IMPORT = 'Write the names out, or use import() with a path such as `./formats/${name}.js`';

/**
 * Reads every module that the programs reach.
 *
 * @param {string[]} programs their names, such as main
 * @param {{ folders: string[], external: string[], dependencies: object }} settings
 * @returns {{ modules: Map<string, string>, entries: string[], named: string[], problems: string[] }} `modules`: the code for the
 *   bundle, by its absolute path in build/. `entries`: the modules that run on their own, such as `orders/report.worker.js`.
 *   `named`: the packages that other packages load by their name, such as a view engine.
 */
export function readOwnCode(programs, settings) {
  const modules = new Map();
  const entries = new Set();
  const named = new Set();
  const problems = [];
  const files = new Set(programs.map((name) => resolve('build', `${name}.js`)));
  // Iterating over a set includes the elements that are added meanwhile.
  for (const file of files) {
    const module = readModule(file, settings);
    modules.set(file, module.contents);
    problems.push(...module.problems);
    for (const name of module.named) named.add(name);
    for (const entry of module.entries) entries.add(relative('build', entry));
    for (const next of [...module.imports, ...module.entries]) if (existsSync(next)) files.add(next);
  }
  return { modules, entries: [...entries], named: [...named], problems };
}

function readModule(file, { folders, external, dependencies }) {
  const source = readFileSync(file, 'utf8');
  const place = join('src', relative('build', file));
  const folder = dirname(place);
  const { imports, requires, places, paths, loads, calls, literals, awaits } = inspectModule(source, resolve(place));
  const edits = [];
  const entries = [];
  const problems = [];
  const report = ({ start }, reason) => problems.push(`${positionOf(source, file, start)}: ${reason}.`);

  // Calls of the function become calls of require(), which esbuild follows.
  for (const { start, end } of requires) edits.push({ start, end, text: 'requireFile' });
  for (const { node, property } of places) placeInDist(node, property);
  for (const { node, path, parent } of paths) if (!isHarmless(path, parent)) checkPath(node, relative('.', path));
  for (const load of loads) checkLoad(load);
  for (const node of calls) checkCall(node);
  for (const node of literals) checkLiteral(node);
  for (const node of awaits) report(node, 'The bundle has no top-level await. Enclose the code in an async function');
  const named = place.startsWith('src/platform/') ? [] : packagesByName();
  const specifiers = [...imports, ...loads.map(({ specifier }) => specifier)];
  return {
    contents: edits
      .toSorted((a, b) => b.start - a.start)
      .reduce((code, { start, end, text }) => code.slice(0, start) + text + code.slice(end), source),
    imports: specifiers.filter(isRelative).flatMap((specifier) => modulesOf(file, specifier)),
    entries,
    named,
    problems,
  };

  /** Packages whose name is a string here. The last two read their own files only in these cases. */
  function packagesByName() {
    const names = literals.map(({ value }) => value).filter((name) => name in dependencies);
    const hasTransport = imports.some((name) => /^(nestjs-)?pino(-http)?$/.test(name)) && /\btransport\b/.test(source);
    if (hasTransport) names.push('pino');
    if (/\bGRPCHealthIndicator\b/.test(source)) names.push('@nestjs/terminus');
    return names;
  }

  /** Replaces import.meta.url and its like: the module is in dist/app.js, and its data in dist/src/. */
  function placeInDist(node, property) {
    if (property.startsWith('__') && !file.endsWith('.cjs'))
      report(node, `An ES module has no ${property}. ${USE_URL}`);
    const name = property.replaceAll('_', '');
    const path = { url: place, filename: place, dirname: folder }[name];
    if (!path) report(node, `The bundle has no import.meta.${property}`);
    else edits.push({ ...node, text: `${name === 'url' ? 'moduleUrl' : 'modulePath'}('${path}')` });
  }

  /** Whether an expression names only the module itself. Uses of a constant are checked separately. */
  function isHarmless(path, parent) {
    if (![place, folder].includes(relative('.', path))) return false;
    return parent?.type === 'VariableDeclarator' || calleeOf(parent) === 'createRequire';
  }

  function checkPath(node, path) {
    const [start] = path.split(/[*?{[]|_UNKNOWN_/, 1);
    const isPattern = start !== path;
    const known = isPattern ? start.slice(0, start.lastIndexOf('/') + 1) : path;
    const [top] = path.split('/');
    const built = known.replace(/^src\b/, 'build');
    if ([place, folder].includes(path) || (resolve(known) === resolve(folder) && !extname(path))) {
      report(node, `The build cannot find out which file is read here. ${USE_URL}, or begin the path with a folder`);
    } else if (isPattern && CODE.test(path)) {
      report(node, `The bundle has no file for a module. ${USE_IMPORT}`);
    } else if (!['src', 'package.json', ...folders].some((each) => `${known}/`.startsWith(`${each}/`))) {
      const remedy = top === '..' ? '' : `, or add to package.json: "bundle": { "folders": ["${top}"] }`;
      report(node, `${known} is outside of src/. Move it there${remedy}`);
    } else if (!existsSync(built)) {
      report(node, `${known} does not exist`);
    } else if (CODE.test(path)) {
      entries.push(resolve(built));
    }
  }

  function checkLoad({ node, kind, specifier }) {
    const name = packageOf(specifier);
    if (specifier.includes(UNKNOWN)) {
      // esbuild bundles every file that matches: https://esbuild.github.io/api/#glob
      const isGlob = kind === 'import' && /^\.\.?\/.*_UNKNOWN_.*\.\w+$/.test(specifier);
      if (!isGlob) report(node, `The build cannot find out which module is loaded here. ${USE_IMPORT}`);
    } else if (kind === 'require') {
      edits.push({ start: node.callee.start, end: node.callee.end, text: 'require' });
    } else if (kind === 'require.resolve') {
      if (isRelative(specifier)) report(node, `The bundle has no file for a module. ${USE_URL}`);
      else if (!external.includes(name)) report(node, `${name} has no files in the bundle. ${externalRemedy(name)}`);
      edits.push({ start: node.callee.object.start, end: node.callee.object.end, text: 'require' });
    }
  }

  function checkCall(node) {
    const { callee } = node;
    const [first] = node.arguments;
    if (callee.property?.name === 'cwd' && callee.object.name === 'process') {
      report(node, `Production has another working directory. ${USE_URL}`);
    } else if (callee.property?.name === 'resolve' && callee.object.object?.type === 'MetaProperty') {
      report(node, 'The bundle has no import.meta.resolve');
    } else if (READS_FILE.test(calleeOf(node)) && typeof first?.value === 'string' && !first.value.startsWith('/')) {
      report(node, `${first.value} depends on the working directory, which is another one in production. ${USE_URL}`);
    }
  }

  function checkLiteral(node) {
    if (/^(\.\/)?(src|build|dist)\//.test(node.value) && existsSync(node.value)) {
      report(node, `${node.value} depends on the working directory, which is another one in production. ${USE_URL}`);
    }
  }
}

/** The line to add for a package that cannot be in the bundle. */
export const externalRemedy = (name) => `Add to package.json: "bundle": { "external": ["${name}"] }`;

/** The name of the package of a specifier or path: `@grpc/grpc-js` of `@grpc/grpc-js/build/src/index.js`. */
export const packageOf = (specifier) => /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0];

const isRelative = (specifier) => /^\.\.?\//.test(specifier);

/** The modules that a relative specifier names: several if a part of it is unknown. */
function modulesOf(file, specifier) {
  const pattern = resolve(dirname(file), specifier.replaceAll(UNKNOWN, '*'));
  return (pattern.includes('*') ? globSync(pattern) : [pattern]).filter((path) => CODE.test(path));
}

/** Returns src/FILE.ts:LINE of a position in a file of build/. */
function positionOf(source, file, position) {
  const lines = source.slice(0, position).split('\n');
  const map = `${file}.map`;
  if (!existsSync(map)) return `${relative('.', file)}:${lines.length}`;
  const { originalSource, originalLine } = new SourceMap(JSON.parse(readFileSync(map, 'utf8'))).findEntry(
    lines.length - 1,
    lines.at(-1).length,
  );
  return `${relative('.', resolve(dirname(file), originalSource))}:${originalLine + 1}`;
}
