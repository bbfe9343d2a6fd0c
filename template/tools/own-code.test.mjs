// The build finds files and workers in the service's own code, and rejects code that cannot run in the bundle.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { readOwnCode } from '../../tools/build/own-code.mjs';

const home = process.cwd();
const folder = mkdtempSync(join(tmpdir(), 'own-code-'));
after(() => {
  process.chdir(home);
  rmSync(folder, { recursive: true });
});

const SETTINGS = { folders: ['texts'], external: ['geoip-lite'], dependencies: { hbs: '1.0.0', pino: '1.0.0' } };
const FILES = {
  'texts/a.txt': '',
  'other/a.txt': '',
  ...Object.fromEntries(['src', 'build'].map((place) => [`${place}/orders/texts/a.hbs`, ''])),
  'src/orders/texts/b.hbs': '',
  'build/orders/totals.worker.js': `import '../sums.js';`,
  'build/sums.js': '',
  'build/orders/formats/csv.js': '',
  'src/orders/list.json': '[]',
};
process.chdir(folder);
for (const [file, text] of Object.entries(FILES)) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** Reads one module, build/orders/main.js. */
function read(code, file = 'orders/main') {
  writeFileSync(`build/${file}.js`, code);
  return readOwnCode([file], SETTINGS);
}

describe('readOwnCode finds', () => {
  const ENTRY = ['orders/totals.worker.js'];
  const entries = {
    'a worker by its URL': `new Worker(new URL('./totals.worker.js', import.meta.url))`,
    'a constant URL': `const url = new URL('./totals.worker.js', import.meta.url); new Worker(url)`,
    'a URL as text': `new Piscina({ filename: new URL('./totals.worker.js', import.meta.url).href })`,
    'the path of a URL': `fork(fileURLToPath(new URL('./totals.worker.js', import.meta.url)))`,
    'a path from import.meta.dirname': `fork(join(import.meta.dirname, 'totals.worker.js'))`,
    'a path from the older form of import.meta.dirname': `
      const here = path.dirname(fileURLToPath(import.meta.url));
      fork(path.join(here, 'totals.worker.js'))`,
  };
  for (const [name, code] of Object.entries(entries)) {
    test(name, () => {
      const { entries: found, problems, modules } = read(code);
      assert.deepEqual({ found, problems }, { found: ENTRY, problems: [] });
      assert.ok(modules.has(join(process.cwd(), 'build/sums.js')), 'the modules that it imports');
    });
  }

  test('modules that match a pattern', () => {
    const { modules, problems } = read('import(`./formats/${name}.js`)');
    assert.deepEqual(problems, []);
    assert.ok(modules.has(join(process.cwd(), 'build/orders/formats/csv.js')));
  });

  const named = {
    'a view engine': [`app.setViewEngine('hbs')`, 'hbs'],
    'a transport of pino': [`import { pino } from 'pino'; pino({ transport: { target: 'x' } })`, 'pino'],
  };
  for (const [name, [code, expected]] of Object.entries(named)) {
    test(name, () => assert.deepEqual(read(code).named, [expected]));
  }
});

describe('readOwnCode gives a module its place in dist/', () => {
  const places = {
    [`new URL('./texts/a.hbs', import.meta.url)`]: `new URL('./texts/a.hbs', moduleUrl('src/orders/main.js'))`,
    'new URL(`./texts/${name}.hbs`, import.meta.url)':
      "new URL(`./texts/${name}.hbs`, moduleUrl('src/orders/main.js'))",
    [`join(import.meta.dirname, 'texts', name)`]: `join(modulePath('src/orders'), 'texts', name)`,
    [`join(import.meta.dirname, '../../texts/a.txt')`]: `join(modulePath('src/orders'), '../../texts/a.txt')`,
    [`const load = createRequire(import.meta.url); load('hbs')`]: `const requireFile = createRequire(moduleUrl('src/orders/main.js')); require('hbs')`,
    [`const require = createRequire(import.meta.url); require('./list.json')`]: `const requireFile = createRequire(moduleUrl('src/orders/main.js')); require('./list.json')`,
  };
  for (const [code, expected] of Object.entries(places)) {
    test(code, () => {
      const { modules, problems } = read(code);
      assert.deepEqual(problems, []);
      assert.equal(modules.get(join(process.cwd(), 'build/orders/main.js')), expected);
    });
  }
});

describe('readOwnCode rejects', () => {
  const rejected = {
    'a URL that it cannot know': ['readFile(new URL(name, import.meta.url))', /cannot find out which file/],
    'a file that it cannot know': ['readFile(join(import.meta.dirname, name))', /cannot find out which file/],
    'its own path': ['load(import.meta.filename)', /cannot find out which file/],
    'its own folder': ['load(import.meta.dirname)', /cannot find out which file/],
    'a missing file': [
      `readFile(new URL('./texts/c.hbs', import.meta.url))`,
      /src\/orders\/texts\/c\.hbs does not exist/,
    ],
    'a missing folder': [
      'readFile(new URL(`./views/${name}.hbs`, import.meta.url))',
      /src\/orders\/views\/ does not exist/,
    ],
    'a file that the build does not copy': [
      `readFile(new URL('./texts/b.hbs', import.meta.url))`,
      /src\/orders\/texts\/b\.hbs does not exist/,
    ],
    'a folder that is not declared': [
      `readFile(new URL('../../other/a.txt', import.meta.url))`,
      /other\/a\.txt is outside of src\/.*"bundle": \{ "folders": \["other"\] \}/,
    ],
    'a file outside of the repository': [`readFile(new URL('../../../a.txt', import.meta.url))`, /is outside of src\//],
    'modules by a pattern': [`load(join(import.meta.dirname, '**/*.entity.js'))`, /has no file for a module/],
    '__dirname in an ES module': [`readFile(__dirname + '/texts/a.hbs')`, /An ES module has no __dirname/],
    'a top-level await': [
      'const load = async () => { await run(); }; await load()',
      /has no top-level await\. Enclose/,
    ],
    'a top-level for await': ['for await (const row of rows) run(row)', /has no top-level await/],
    'import.meta.main': ['if (import.meta.main) run()', /The bundle has no import\.meta\.main/],
    'import.meta.resolve': [`import.meta.resolve('pg')`, /The bundle has no import\.meta\.resolve/],
    'an import that it cannot know': ['import(name)', /cannot find out which module/],
    'a require that it cannot know': [
      'const load = createRequire(import.meta.url); load(name)',
      /cannot find out which module/,
    ],
    'the path of a package in the bundle': [
      `const load = createRequire(import.meta.url); load.resolve('pg/package.json')`,
      /pg has no files in the bundle.*"external": \["pg"\]/,
    ],
    'the working directory': [`join(process.cwd(), 'texts')`, /another working directory/],
    'a path from the working directory': [`readFileSync('texts/a.txt')`, /depends on the working directory/],
    'a path to src/ in a setting': [`({ protoPath: 'src/orders/list.json' })`, /depends on the working directory/],
  };
  for (const [name, [code, reason]] of Object.entries(rejected)) {
    test(name, () => {
      const { problems } = read(code);
      assert.match(problems.join('\n'), reason);
      assert.match(problems[0], /^build\/orders\/main\.js:1: /);
    });
  }

  test('nothing in the code of this service', () => {
    process.chdir(home);
    const { problems } = readOwnCode(['main', 'migrate', 'api-keys'], { ...SETTINGS, folders: [] });
    process.chdir(folder);
    assert.deepEqual(problems, []);
  });
});
