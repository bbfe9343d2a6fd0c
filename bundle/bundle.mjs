// The second half of `npm run build`: makes dist/, the service as production runs it, of build/, which is src/ compiled.
// Node reads one file of it where it would find, read and compile two thousand: docs/adr/0023-one-bundle.md.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const PROGRAMS = ['main', 'migrate', 'keys'];

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

/** Nest's packages load some others in a way that esbuild does not follow: https://github.com/evanw/esbuild/issues/1828 */
const followCreateRequire = {
  name: 'follow createRequire',
  setup({ onLoad }) {
    onLoad({ filter: /@nestjs.*\.js$/ }, ({ path }) => {
      const source = readFileSync(path, 'utf8');
      return { contents: source.replace('const require = createRequire(import.meta.url);\n', '') };
    });
  },
};

/** Drivers of other databases than PostgreSQL, and character sets other than Unicode, which JSON cannot be in. */
const leaveOut = {
  name: 'leave out',
  setup({ onLoad }) {
    const filter = /typeorm[\\/]driver[\\/][\w-]+[\\/]\w+Driver\.js$|iconv-lite[\\/]encodings[\\/]dbcs-data\.js$/;
    onLoad({ filter }, ({ path }) =>
      path.endsWith('PostgresDriver.js') && !path.includes('aurora') ? undefined : { contents: '' },
    );
  },
};

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
const { metafile, outputFiles } = await build({
  stdin: {
    contents: PROGRAMS.map((name) => `exports.${name} = () => require('./build/${name}.js');`).join('\n'),
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
  keepNames: true, // Nest, TypeORM and class-validator go by the names of classes
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
  plugins: [replaceForNest, followCreateRequire, leaveOut, leaveAbsent],
  metafile: true,
  write: false,
  logOverride: { 'duplicate-object-key': 'silent' }, // the Swagger plugin of nest build repeats what a decorator says
});

mkdirSync('dist/swagger-ui', { recursive: true });
writeFileSync('dist/app.js', nameOnlyClasses(outputFiles[0].text));
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
for (const file of ['launch.cjs', 'precompile.cjs']) cpSync(join('bundle', file), join('dist', file));
for (const program of PROGRAMS) writeFileSync(`dist/${program}.js`, `require('./launch.cjs').launch('${program}');\n`);

const { status } = spawnSync(process.execPath, ['dist/precompile.cjs'], { stdio: 'inherit' });
process.exitCode = status ?? 1;

/**
 * esbuild gives its name to every function, whenever one is made, and that is a quarter of the time that a request
 * takes. Here only classes get theirs.
 */
function nameOnlyClasses(code) {
  const helper = '__name=(target,value)=>__defProp(target,"name",{value,configurable:!0})';
  if (!code.includes(helper))
    throw new Error("The bundle's function that keeps names is not what it was: look at __name");
  return code
    .replace(helper, () => `__nameClass${helper.slice('__name'.length)},__name=target=>target`)
    .replaceAll(/(?<=static\{)__name(?=\(this,)|__name(?=\(class\b)/g, '__nameClass');
}

/** Writes some fields of a folder's package.json, and more, to the same place in dist/. */
function writeManifest(folder, fields, more = {}) {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const kept = Object.fromEntries(fields.map((field) => [field, manifest[field]]));
  mkdirSync(join('dist', folder), { recursive: true });
  writeFileSync(join('dist', folder, 'package.json'), JSON.stringify({ ...kept, ...more }));
}
