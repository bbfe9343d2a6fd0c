// The second half of `npm run build`: bundles build/ (src/, compiled) into dist/, which production runs.
// Node then reads one file instead of two thousand: docs/adr/0023-one-bundle.md.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decode, encode } from '@jridgewell/sourcemap-codec';
import { parse } from 'acorn';
import { ancestor, simple } from 'acorn-walk';
import { build } from 'esbuild';

const PROGRAMS = ['main', 'migrate', 'api-keys'];

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

const replaceForNest = {
  name: 'replace for Nest',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /./ }, ({ path, importer }) =>
      Object.hasOwn(REPLACED, path) && isOfNest(importer) ? { path, namespace: 'replaced' } : undefined,
    );
    onLoad({ filter: /./, namespace: 'replaced' }, ({ path }) => ({ contents: REPLACED[path], resolveDir: '.' }));
  },
};

/** Database drivers other than PostgreSQL's, and character sets other than Unicode, which JSON never uses. */
const LEFT_OUT =
  /typeorm[\\/]driver[\\/](?!postgres[\\/])[\w-]+[\\/]\w+Driver\.js$|iconv-lite[\\/]encodings[\\/]dbcs-data\.js$/;

/** The maps of packages name sources that are not installed; TypeORM's `src/` would pass for this project's. */
const SOURCE_MAP = /^\/\/# sourceMappingURL=.*$/gm;

const isOwn = (file) => file.startsWith(join(process.cwd(), 'build'));

const readSources = {
  name: 'read sources',
  setup({ onLoad }) {
    onLoad({ filter: /\.[cm]?js$/ }, ({ path }) => {
      if (LEFT_OUT.test(path)) return { contents: '' };
      const source = readFileSync(path, 'utf8');
      // Nest's packages load others with createRequire, which esbuild ignores: https://github.com/evanw/esbuild/issues/1828
      const visible = isOfNest(path) ? source.replace('const require = createRequire(import.meta.url);\n', '') : source;
      return { contents: nameClasses(isOwn(path) ? visible : visible.replaceAll(SOURCE_MAP, '')) };
    });
  },
};

/**
 * Nest, TypeORM and class-validator depend on class names, and esbuild renames some classes. Its keepNames option also
 * names every function whenever one is created, which takes a quarter of the time of a request.
 */
function nameClasses(source) {
  if (!/\bclass\s/.test(source)) return source;
  const options = { ecmaVersion: 'latest', allowReturnOutsideFunction: true, allowHashBang: true };
  let program;
  try {
    program = parse(source, { ...options, sourceType: 'module' });
  } catch {
    program = parse(source, { ...options, sourceType: 'script' }); // syntax that strict mode forbids
  }
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
  const blank = (code, { start, end }) =>
    code.slice(0, start) + code.slice(start, end).replaceAll(/./g, ' ') + code.slice(end);
  return superfluous.reduce(blank, bundle);
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

/** Keeps the require() of an optional package that is not installed. It throws as it does without a bundle. */
const leaveAbsent = {
  name: 'leave absent',
  setup({ onResolve, resolve }) {
    onResolve({ filter: /^[^./]/ }, async ({ path, pluginData, ...request }) => {
      if (pluginData === leaveAbsent) return undefined;
      const { errors } = await resolve(path, { ...request, pluginData: leaveAbsent });
      return errors.length > 0 ? { path, external: true } : undefined;
    });
  },
};

const isOfNest = (file) => /node_modules[\\/]@nestjs[\\/]/.test(file);

rmSync('dist', { recursive: true, force: true });
const { metafile } = await build({
  stdin: {
    contents: PROGRAMS.map((name) => `exports['${name}'] = () => require('./build/${name}.js');`).join('\n'),
    resolveDir: '.',
  },
  outfile: 'dist/app.js',
  bundle: true,
  platform: 'node',
  target: 'node24',
  // An ES module that imports node:http also loads undici, because Node reads every export: 24 ms.
  format: 'cjs',
  supported: { 'dynamic-import': false },
  define: { 'import.meta.url': 'fileUrl' },
  // A function that launch.cjs calls.
  banner: {
    js: `(function (exports, require, module, __filename, __dirname) {
const fileUrl = require('node:url').pathToFileURL(__filename).href;`,
  },
  footer: { js: '})' },
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
  plugins: [replaceForNest, readSources, leaveAbsent],
  sourcemap: 'external',
  sourcesContent: false,
  metafile: true,
  logOverride: { 'duplicate-object-key': 'silent' }, // the Swagger plugin repeats keys of a decorator
});
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
// Vulnerability scanners read the package.json of each installed package: one for each package in the bundle.
const packages = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/;
const bundled = Object.entries(metafile.outputs['dist/app.js'].inputs)
  .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
  .flatMap(([file]) => packages.exec(file) ?? []);
for (const folder of new Set(bundled)) writeManifest(folder, ['name', 'version', 'license']);
for (const file of ['launch.cjs', 'precompile.cjs']) cpSync(join('tools/build', file), join('dist', file));
for (const program of PROGRAMS) writeFileSync(`dist/${program}.js`, `require('./launch.cjs').launch('${program}');\n`);

const { status } = spawnSync(process.execPath, ['dist/precompile.cjs'], { stdio: 'inherit' });
process.exitCode = status ?? 1;

/** Writes the given fields of a folder's package.json, and more, to the same folder of dist/. */
function writeManifest(folder, fields, more = {}) {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const kept = Object.fromEntries(fields.map((field) => [field, manifest[field]]));
  mkdirSync(join('dist', folder), { recursive: true });
  writeFileSync(join('dist', folder, 'package.json'), JSON.stringify({ ...kept, ...more }));
}
