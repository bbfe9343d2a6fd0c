import { spawnSync } from 'node:child_process';
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { SourceMap, type SourceMapping } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { startProgram } from '../../test/support/program.js';
import { createTestDatabase } from '../../test/support/test-database.js';

const { devDependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as { devDependencies: object };
const megabytes = (...files: string[]) => files.reduce((sum, file) => sum + statSync(file).size, 0) / 1e6;

describe('dist/', () => {
  it('starts from three files, of which Node finds two', async () => {
    const preload = new URL('../support/report-loaded.mjs', import.meta.url).href;
    const program = await startProgram({
      DATABASE_URL: 'postgresql://127.0.0.1:1/none',
      LOG_LEVEL: 'debug',
      NODE_OPTIONS: `--import=${preload}`,
    });
    await program.stop();
    const { files = [] } = program.lines.find(({ message }) => message === 'Loaded') as { files?: string[] };
    // The name of a class, which esbuild would change because the class speaks of itself.
    expect(program.lines.map(({ context }) => context)).toContain('RoutesResolver');
    // The third, app.js, is read by launch.cjs.
    expect(files.map((file) => basename(file))).toEqual(['main.js', 'launch.cjs']);
  });

  it('has what V8 has compiled, in a form that this V8 takes', () => {
    const check = `new vm.Script(fs.readFileSync('dist/app.js', 'latin1'), { cachedData: fs.readFileSync('dist/app.cache') })`;
    const { stdout } = spawnSync(process.execPath, ['-p', `${check}.cachedDataRejected`], { encoding: 'utf8' });
    expect(stdout.trim()).toBe('false');
  });

  it('is small', () => {
    expect(megabytes('dist/app.js')).toBeLessThan(3.5);
    expect(megabytes('dist/app.cache')).toBeLessThan(4);
    expect(megabytes(...globSync('dist/swagger-ui/*'))).toBeLessThan(2.5);
  });

  it('has each package once, none that only builds or tests, and none that nothing here calls', () => {
    const packages = globSync('dist/node_modules/**/package.json').map(
      (file) => JSON.parse(readFileSync(file, 'utf8')) as { name: string; version: string },
    );
    const names = packages.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['@nestjs/core', 'express', 'pg', 'typeorm']));
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
    expect(names.filter((name) => name in devDependencies)).toEqual([]);
    expect(names).not.toEqual(expect.arrayContaining([expect.stringMatching(/^(libphonenumber-js|multer)$/)]));
  });

  it('gives Nest all that it asks of class-validator', () => {
    const [, given = ''] =
      /export \{ ([\w, ]+) \} from 'class-validator'/.exec(readFileSync('tools/build/bundle.mjs', 'utf8')) ?? [];
    const sources = globSync('node_modules/@nestjs/{common,core,mapped-types,swagger}/**/*.js').map((file) =>
      readFileSync(file, 'utf8'),
    );
    const asked = sources.flatMap((source) => [...source.matchAll(/classValidator\.(\w+)/g)].map(([, name]) => name));
    const ofOldVersions = new Set(['getFromContainer', 'MetadataStorage']);
    const missing = asked.filter(
      (name) => !ofOldVersions.has(String(name)) && !given.split(', ').includes(String(name)),
    );
    expect(missing).toEqual([]);
  });
});

describe('stack traces of dist/', () => {
  const sources = globSync('src/**/*.ts', { exclude: ['**/*.spec.ts'] }).map((file) => ({
    file,
    lines: readFileSync(file, 'utf8').split('\n'),
  }));

  it('name the line of src/ of an uncaught error', async () => {
    const database = await createTestDatabase({ empty: true });
    await database.query('CREATE TABLE api_keys ()');
    const program = await startProgram({ DATABASE_URL: database.url }, 'migrate.js');
    expect(await program.ended).toBe(1);
    await database.drop();
    const migration = sources.find(({ file }) => file.endsWith('-create-api-keys.ts'));
    const line = migration!.lines.findIndex((text) => text.includes('await queryRunner.query')) + 1;
    expect(program.lines.at(-1)).toMatchObject({
      severity: 'CRITICAL',
      stack_trace: expect.stringMatching(new RegExp(` CreateApiKeys\\d+\\.up \\(${migration!.file}:${line}:\\d+\\)\n`)),
    });
  });

  it('name positions in app.js where the source map is missing', () => {
    const folder = mkdtempSync(join(tmpdir(), 'dist-'));
    cpSync('dist/launch.cjs', join(folder, 'launch.cjs'));
    writeFileSync(join(folder, 'app.js'), `(exports) => { exports.main = () => { throw new Error('no map'); }; }`);
    const { status, stderr } = spawnSync(process.execPath, ['-e', `require('./launch.cjs').launch('main')`], {
      cwd: folder,
      encoding: 'utf8',
    });
    rmSync(folder, { recursive: true });
    expect(status).toBe(1);
    expect(stderr).toMatch(/Error: no map\n {4}at .*app\.js:1:\d+\)/);
  });

  it('name the line of src/ of every sentence that occurs once', () => {
    const map = new SourceMap(JSON.parse(readFileSync('dist/app.js.map', 'utf8')));
    const bundle = readFileSync('dist/app.js', 'latin1').split('\n');
    const strings = sources.flatMap(({ file, lines }) =>
      lines.flatMap((text, index) => {
        if (/^\s*\/?\*/.test(text)) return []; // an example in a comment becomes metadata of the class
        const matches = [...text.matchAll(/'(\w+ [\w .:-]{10,})'/g)];
        return matches.map(([, string]) => ({ string, place: `${file}:${index + 1}` }));
      }),
    );
    const mapped = strings.flatMap(({ string, place }) => {
      const literal = `"${string}"`;
      const [first, ...others] = [...bundle.entries()].filter(([, text]) => text.includes(literal));
      const isUnique = strings.filter((other) => other.string === string).length === 1 && others.length === 0;
      if (!first || !isUnique) return [];
      const [line, text] = first;
      const { originalSource, originalLine } = map.findEntry(line, text.indexOf(literal)) as SourceMapping;
      return [{ place, mapped: `${originalSource}:${originalLine + 1}` }];
    });
    expect(mapped.length).toBeGreaterThan(20);
    expect(mapped.filter((each) => each.place !== each.mapped)).toEqual([]);
  });
});
