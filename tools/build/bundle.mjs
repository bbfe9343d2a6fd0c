// The second half of `npm run build`: bundles build/ (src/, compiled) into dist/, which production runs.
// Node then reads one file instead of two thousand: docs/adr/0023-one-bundle.md.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { decode, encode } from '@jridgewell/sourcemap-codec';
import { parse } from 'acorn';
import { ancestor, simple } from 'acorn-walk';
import { build } from 'esbuild';
import { copyPackages, foldersOf, isNative, manifestOf } from './external.mjs';
import { copyData } from './files.mjs';
import { parseModule, readsOwnFiles } from './modules.mjs';
import { externalRemedy, readOwnCode } from './own-code.mjs';
import { readSettings } from './settings.mjs';

/** The files of Swagger UI that its page loads. */
const SWAGGER_UI =
  /swagger-ui(\.css|(-bundle|-standalone-preset)\.js)$|favicon-.*\.png$|oauth2-redirect\.(html|js)$|index\.css$/;

/**
 * Smaller modules for Nest, which imports whole packages and uses a part of them. Without these, the bundle would contain
 * every validator (phone numbers of all countries among them) and file uploads.
 */
const REPLACED = {
  'class-validator': `export { IsOptional, ValidateIf, getMetadataStorage, validate } from 'class-validator';`,
  '@nestjs/platform-express': `export { ExpressAdapter } from '@nestjs/platform-express/adapters/express-adapter.js';`,
  'swagger-ui-dist/absolute-path.js': `module.exports = () => __dirname + '/swagger-ui';`,
};

/** The packages of Nest that need no more of them. */
const USES_PART = /node_modules[\\/]@nestjs[\\/](common|core|mapped-types|swagger)[\\/]/;

const replaceForNest = {
  name: 'replace for Nest',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /./ }, ({ path, importer }) =>
      Object.hasOwn(REPLACED, path) && USES_PART.test(importer) ? { path, namespace: 'replaced' } : undefined,
    );
    onLoad({ filter: /./, namespace: 'replaced' }, ({ path }) => ({ contents: REPLACED[path], resolveDir: '.' }));
  },
};

/** The maps of packages name sources that are not installed; TypeORM's `src/` would pass for this project's. */
const SOURCE_MAP = /^\/\/# sourceMappingURL=.*$/gm;

const isOwn = (file) => file.startsWith(join(process.cwd(), 'build'));

/** Packages that read their own files only for features that the service does not use, such as the transports of pino. */
const READS_NO_FILES = /^node_modules\/(@nestjs\/(swagger|terminus)|fdir|pino|thread-stream)$/;

/** Gives esbuild the modules in the form that the bundle needs. */
function readModules(own, found) {
  return {
    name: 'read modules',
    setup({ onLoad }) {
      onLoad({ filter: /\.[cm]?js$/ }, ({ path }) => {
        if (isOwn(path)) return { contents: nameClasses(own.get(path) ?? readFileSync(path, 'utf8')) };
        const source = readFileSync(path, 'utf8').replaceAll(SOURCE_MAP, '');
        if (readsOwnFiles(source)) found.readers.push(relative('.', path));
        return { contents: nameClasses(showRequires(source)) };
      });
    },
  };
}

/** ES modules load others with createRequire, which esbuild ignores: https://github.com/evanw/esbuild/issues/1828 */
const showRequires = (source) =>
  source.replace(/(const|let|var) require = (\w+\.)?createRequire\(import\.meta\.url\);?/, '');

/**
 * Nest, TypeORM and class-validator depend on class names, and esbuild renames some classes. Its keepNames option also
 * names every function whenever one is created, which takes a quarter of the time of a request.
 */
function nameClasses(source) {
  if (!/\bclass\s/.test(source)) return source;
  const program = parseModule(source);
  const names = [];
  const note = ({ id, body }) => id && names.push({ at: body.start + 1, name: id.name });
  simple(program, { ClassDeclaration: note, ClassExpression: note });
  let result = source;
  for (const { at, name } of names.toSorted((a, b) => b.at - a.at)) {
    result = `${result.slice(0, at)} static get name() { return '${name}'; }${result.slice(at)}`;
  }
  return result;
}

/** Removes the getter from a class that kept its name: V8 accesses a class faster without an overridden property. */
function unnameClasses(bundle) {
  const superfluous = [];
  ancestor(parse(bundle, { ecmaVersion: 'latest' }), {
    Class(node, _state, ancestors) {
      const [first] = node.body.body;
      if (!first?.static || first.kind !== 'get' || first.key.name !== 'name') return;
      const [parent] = ancestors.slice(-2);
      const { name } = node.id ?? parent.left ?? parent.id ?? {};
      if (name === first.value.body.body[0].argument?.value) superfluous.push(first);
    },
  });
  // Spaces instead of the getters keep the positions of the source map right.
  let result = '';
  let end = 0;
  for (const getter of superfluous.toSorted((a, b) => a.start - b.start)) {
    result += bundle.slice(end, getter.start) + bundle.slice(getter.start, getter.end).replaceAll(/./g, ' ');
    ({ end } = getter);
  }
  return result + bundle.slice(end);
}

/** Reduces a source map to src/, which takes a twentieth of the size and of the memory. */
function mapOfSources({ version, sources, mappings }) {
  const own = sources.filter((source) => source.startsWith('../src/'));
  let isMapped = false;
  const lines = decode(mappings).map((line) =>
    line.flatMap(([column, source, ...position]) => {
      const index = own.indexOf(sources[source]);
      const wasMapped = isMapped;
      isMapped = index !== -1;
      if (isMapped) return [[column, index, ...position]];
      return wasMapped ? [[column]] : []; // the code of a package begins here
    }),
  );
  return { version, sources: own.map((source) => source.replace('../', '')), names: [], mappings: encode(lines) };
}

/** Decides which packages are in the bundle. An import() of a package loads its own file. */
function resolvePackages(externalFolders, inline, found) {
  return {
    name: 'resolve packages',
    setup({ onResolve, resolve }) {
      onResolve({ filter: /^[^./]|\.node$/ }, async ({ path, pluginData, ...request }) => {
        if (pluginData === found) return undefined;
        const { errors, path: file } = await resolve(path, { ...request, pluginData: found });
        // The require() of an optional package that is not installed throws as it does without a bundle.
        if (errors.length > 0) return isOwn(request.importer) ? undefined : { path, external: true };
        const folder = packages.exec(relative('.', file))?.[0];
        if (!folder) return undefined;
        if (externalFolders.includes(folder)) return { path, external: true };
        if (file.endsWith('.node') || isNative(folder)) {
          found.natives.push({ folder, importer: relative('.', request.importer) });
          return { path, external: true };
        }
        if (request.kind === 'dynamic-import' && isOwn(request.importer)) {
          if (inline.has(path)) return undefined;
          found.lazy.set(path, file);
          return { path: `./${fileOf(path)}`, external: true };
        }
        return undefined;
      });
    },
  };
}

const packages = /^node_modules\/(?:.*node_modules\/)?(?:@[^/]+\/)?[^/]+/;
const nameOf = (folder) => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(folder)[1];

/** The options of every file. */
const COMMON = {
  bundle: true,
  platform: 'node',
  // node_modules may be a symbolic link, as in a worktree.
  preserveSymlinks: true,
  target: 'node24',
  // An ES module that imports node:http also loads undici, because Node reads every export: 24 ms.
  format: 'cjs',
  supported: { 'dynamic-import': false },
  define: { 'import.meta.url': 'fileUrl' },
  // Whole identifiers and short lines, so that a stack trace in a package can be followed.
  minifySyntax: true,
  minifyWhitespace: true,
  lineLimit: 120,
  legalComments: 'none',
  alias: {
    // The ES modules of these packages, because esbuild removes unused code from those. Node would load CommonJS.
    'class-validator': './node_modules/class-validator/esm2015/index.js',
    rxjs: './node_modules/rxjs/dist/esm',
  },
  external: ['pino-pretty'], // a development dependency
  metafile: true,
  logOverride: {
    'duplicate-object-key': 'silent', // the Swagger plugin repeats keys of a decorator
    'require-resolve-not-external': 'silent', // such a package stays outside
  },
};

/** The file in dist/ of a package that import() loads, so that a start does not read it. */
const fileOf = (specifier) => `lazy/${specifier.replaceAll('/', '-')}.js`;

/** Bundles once. Returns the files in the bundle, and packages that may not belong in it. */
async function bundleOnce(own, programs, externalFolders, inline) {
  const found = { readers: [], natives: [], lazy: new Map() };
  rmSync('dist/lazy', { recursive: true, force: true });
  const entries = [...programs.map((name) => [name, `${name}.js`]), ...own.entries.map((entry) => [entry, entry])];
  const app = await bundleFile('dist/app.js', {
    stdin: {
      contents: [
        ...entries.map(([name, file]) => `exports['${name}'] = () => require('./build/${file}');`),
        `exports['warm-up'] = () => require('./tools/build/warm-up.mjs');`,
      ].join('\n'),
      resolveDir: '.',
    },
    // A function that launch.cjs calls.
    banner: {
      js: `(function (exports, require, module, __filename, __dirname) {
const modulePath = (path) => __dirname + '/' + path, moduleUrl = (path) => require('node:url').pathToFileURL(modulePath(path)).href, fileUrl = moduleUrl('app.js');`,
    },
    footer: { js: '})' },
    sourcemap: 'external',
    sourcesContent: false,
  });
  const files = await Promise.all(
    [...found.lazy].map(async ([specifier, entry]) => ({
      specifier,
      inputs: await bundleFile(`dist/${fileOf(specifier)}`, {
        entryPoints: [entry],
        banner: { js: `const fileUrl = require('node:url').pathToFileURL(__filename).href;` },
      }),
    })),
  );
  // Two copies of a module would have two states.
  const shared = files.filter(({ inputs }, index) => {
    const others = new Set([app, ...files.toSpliced(index, 1).map((each) => each.inputs)].flat());
    return inputs.some((input) => others.has(input));
  });
  return {
    inputs: [app, ...files.map(({ inputs }) => inputs)].flat(),
    shared: shared.map(({ specifier }) => specifier),
    ...found,
  };

  async function bundleFile(outfile, options) {
    const { metafile } = await build({ ...COMMON, plugins: pluginsOf(), outfile, ...options });
    return Object.entries(metafile.outputs[outfile].inputs)
      .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
      .map(([file]) => file);
  }

  function pluginsOf() {
    return [replaceForNest, resolvePackages(externalFolders, inline, found), readModules(own.modules, found)];
  }
}

/** Bundles until every package that cannot be in the bundle is outside of it. */
async function bundleAll(own, settings) {
  const external = new Set([...settings.external, ...own.named]);
  const inline = new Set();
  for (;;) {
    const externalFolders = foldersOf(external);
    const { inputs, readers, natives, shared } = await bundleOnce(own, settings.programs, externalFolders, inline);
    for (const specifier of shared) inline.add(specifier);
    const required = natives.filter(({ folder, importer }) => !isOptional(folder, importer));
    if (required.length > 0) reportProblems(required.map(describeNative));
    const others = readers.filter((file) => inputs.includes(file) && !READS_NO_FILES.test(packages.exec(file)[0]));
    const folders = [...natives.map(({ folder }) => folder), ...others.map((file) => packages.exec(file)[0])];
    const bundled = inputs.flatMap((file) => packages.exec(file)?.[0] ?? []);
    // Another package may load these by name.
    const unseen = Object.keys(settings.dependencies).filter(
      (name) =>
        !name.startsWith('@types/') &&
        ![...bundled, ...externalFolders].includes(`node_modules/${name}`) &&
        existsSync(`node_modules/${name}`),
    );
    const size = external.size;
    for (const name of [...folders.map(nameOf), ...unseen]) external.add(name);
    if (external.size === size && shared.length === 0) return { bundled: new Set(bundled), externalFolders };
    console.error(`Outside of the bundle: ${[...external].slice(size).join(', ')}`);
  }
}

/** Whether the package that imports another works without it. */
function isOptional(folder, importer) {
  const importing = packages.exec(importer)?.[0];
  if (!importing) return false;
  const { optionalDependencies = {}, peerDependenciesMeta = {} } = manifestOf(importing);
  const { name, os } = manifestOf(folder);
  return !os && (name in optionalDependencies || Boolean(peerDependenciesMeta[name]?.optional));
}

function describeNative({ folder, importer }) {
  const name = nameOf(folder);
  return `${importer.replace(/^build\/(.*)\.js$/, 'src/$1.ts')}: ${name} has native code, which a bundle cannot carry. ${externalRemedy(name)}`;
}

function reportProblems(problems) {
  if (problems.length === 0) return;
  console.error(`The bundle would not work:\n${[...new Set(problems)].map((problem) => `  ${problem}`).join('\n')}`);
  console.error('See "Bundle settings" in docs/development.md.');
  process.exit(1);
}

rmSync('dist', { recursive: true, force: true });
const settings = readSettings();
const own = readOwnCode(settings.programs, settings);
reportProblems(own.problems);
const { bundled, externalFolders } = await bundleAll(own, settings);
writeFileSync('dist/app.js', unnameClasses(readFileSync('dist/app.js', 'utf8')));
const map = mapOfSources(JSON.parse(readFileSync('dist/app.js.map', 'utf8')));
writeFileSync('dist/app.js.map', JSON.stringify(map));

mkdirSync('dist/swagger-ui');
cpSync('node_modules/swagger-ui-dist', 'dist/swagger-ui', {
  recursive: true,
  filter: (file) => file.endsWith('swagger-ui-dist') || SWAGGER_UI.test(file),
});
// Name and version for the service itself. It also makes dist/ a CommonJS package.
writeManifest('.', ['name', 'displayName', 'version', 'description'], { type: 'commonjs' });
copyData('build', 'dist/src');
for (const folder of settings.folders) cpSync(folder, join('dist', folder), { recursive: true });
copyPackages(externalFolders);
// Vulnerability scanners read the package.json of each installed package: one for each package in the bundle.
for (const folder of bundled) {
  if (!externalFolders.includes(folder)) writeManifest(folder, ['name', 'version', 'license']);
}
for (const file of ['launch.cjs', 'precompile.cjs']) cpSync(join('tools/build', file), join('dist', file));
for (const program of settings.programs) writeEntry(`${program}.js`, program);
for (const entry of own.entries) writeEntry(join('src', entry), entry);
spawnSync(process.execPath, ['dist/precompile.cjs'], { stdio: 'inherit' });
warnOfSize();

/** Writes a file of dist/ that runs a part of the bundle. */
function writeEntry(file, entry) {
  mkdirSync(dirname(join('dist', file)), { recursive: true });
  const launch = relative(dirname(file), 'launch.cjs').replace(/^(?!\.)/, './');
  const text = file.endsWith('.mjs')
    ? `import bundle from '${launch}';\nexport default bundle.launch('${entry}').default;\n`
    : `module.exports = require('${launch}').launch('${entry}');\n`;
  writeFileSync(join('dist', file), text);
}

function warnOfSize() {
  const sizes = readdirSync('dist', { recursive: true }).map((file) => statSync(join('dist', file)).size);
  const megabytes = sizes.reduce((sum, size) => sum + size, 0) / 1e6;
  if (megabytes > settings.maxMegabytes) {
    console.error(
      `Warning: dist/ has ${megabytes.toFixed(1)} MB, more than ${settings.maxMegabytes}. To allow it, set in package.json: "bundle": { "maxMegabytes": ${Math.ceil(megabytes * 1.2)} }`,
    );
  }
}

/** Writes the given fields of a folder's package.json, and more, to the same folder of dist/. */
function writeManifest(folder, fields, more = {}) {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const kept = Object.fromEntries(fields.map((field) => [field, manifest[field]]));
  mkdirSync(join('dist', folder), { recursive: true });
  writeFileSync(join('dist', folder, 'package.json'), JSON.stringify({ ...kept, ...more }));
}
