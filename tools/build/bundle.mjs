// The second half of `npm run build`: makes dist/, the service as production runs it, of build/, which is src/ compiled.
// Node reads one file of it where it would find, read and compile two thousand: docs/adr/0023-one-bundle.md.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'acorn';
import { ancestor, simple } from 'acorn-walk';
import { build } from 'esbuild';

const PROGRAMS = ['main', 'migrate', 'api-keys'];

/** The files of Swagger UI that its page asks for. */
const SWAGGER_UI =
  /swagger-ui(\.css|(-bundle|-standalone-preset)\.js)$|favicon-.*\.png$|oauth2-redirect\.(html|js)$|index\.css$/;

/**
 * Modules that are not what their packages say. Nest asks for whole packages of which it needs a part, and with these
 * every validator, phone numbers of all countries among them, and file uploads are in the bundle only if src/ uses them.
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

/** Drivers of other databases than PostgreSQL, and character sets other than Unicode, which JSON cannot be in. */
const LEFT_OUT =
  /typeorm[\\/]driver[\\/](?!postgres[\\/])[\w-]+[\\/]\w+Driver\.js$|iconv-lite[\\/]encodings[\\/]dbcs-data\.js$/;

const readSources = {
  name: 'read sources',
  setup({ onLoad }) {
    onLoad({ filter: /\.[cm]?js$/ }, ({ path }) => {
      if (LEFT_OUT.test(path)) return { contents: '' };
      const source = readFileSync(path, 'utf8');
      // In this way Nest's packages load some others, and esbuild does not see it: https://github.com/evanw/esbuild/issues/1828
      const visible = isOfNest(path) ? source.replace('const require = createRequire(import.meta.url);\n', '') : source;
      return { contents: nameClasses(visible) };
    });
  },
};

/**
 * Nest, TypeORM and class-validator go by the names of classes, and esbuild gives another to some. Its own keepNames names
 * every function, too, whenever one is made: a quarter of the time that a request takes.
 */
function nameClasses(source) {
  if (!/\bclass\s/.test(source)) return source;
  const options = { ecmaVersion: 'latest', allowReturnOutsideFunction: true, allowHashBang: true };
  let program;
  try {
    program = parse(source, { ...options, sourceType: 'module' });
  } catch {
    program = parse(source, { ...options, sourceType: 'script' }); // what only sloppy code may do
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

/** A class that has a name of its own accord keeps what V8 makes fast: no property of it is in the place of another. */
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
  return superfluous.toReversed().reduce((code, { start, end }) => code.slice(0, start) + code.slice(end), bundle);
}

/** An optional package that is not installed: its require() stays, and fails as it does without a bundle. */
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
  // An ES module that imports node:http loads undici with it, for Node reads every export: 24 ms.
  format: 'cjs',
  supported: { 'dynamic-import': false },
  define: { 'import.meta.url': 'fileUrl' },
  // A function, as launch.cjs calls it.
  banner: {
    js: `(function (exports, require, module, __filename, __dirname) {
const fileUrl = require('node:url').pathToFileURL(__filename).href;`,
  },
  footer: { js: '})' },
  // Identifiers stay, and lines are short: a stack trace leads to a place that can be read.
  minifySyntax: true,
  minifyWhitespace: true,
  lineLimit: 120,
  legalComments: 'none',
  alias: {
    // Their modules, of which what nobody imports can be left out; Node itself would take the CommonJS ones.
    'class-validator': './node_modules/class-validator/esm2015/index.js',
    rxjs: './node_modules/rxjs/dist/esm',
  },
  external: ['pino-pretty'], // a development dependency
  plugins: [replaceForNest, readSources, leaveAbsent],
  metafile: true,
  logOverride: { 'duplicate-object-key': 'silent' }, // the Swagger plugin of nest build repeats what a decorator says
});
writeFileSync('dist/app.js', unnameClasses(readFileSync('dist/app.js', 'utf8')));

mkdirSync('dist/swagger-ui');
cpSync('node_modules/swagger-ui-dist', 'dist/swagger-ui', {
  recursive: true,
  filter: (file) => file.endsWith('swagger-ui-dist') || SWAGGER_UI.test(file),
});
// What the service tells about itself. It makes dist/ a package of its own, of CommonJS.
writeManifest('.', ['name', 'displayName', 'version', 'description'], { type: 'commonjs' });
// Scanners go by the package.json of what is installed; these stand for the packages in the bundle.
const packages = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/;
const bundled = Object.entries(metafile.outputs['dist/app.js'].inputs)
  .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
  .flatMap(([file]) => packages.exec(file) ?? []);
for (const folder of new Set(bundled)) writeManifest(folder, ['name', 'version', 'license']);
for (const file of ['launch.cjs', 'precompile.cjs']) cpSync(join('tools/build', file), join('dist', file));
for (const program of PROGRAMS) writeFileSync(`dist/${program}.js`, `require('./launch.cjs').launch('${program}');\n`);

const { status } = spawnSync(process.execPath, ['dist/precompile.cjs'], { stdio: 'inherit' });
process.exitCode = status ?? 1;

/** Writes some fields of a folder's package.json, and more, to the same place in dist/. */
function writeManifest(folder, fields, more = {}) {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const kept = Object.fromEntries(fields.map((field) => [field, manifest[field]]));
  mkdirSync(join('dist', folder), { recursive: true });
  writeFileSync(join('dist', folder, 'package.json'), JSON.stringify({ ...kept, ...more }));
}
