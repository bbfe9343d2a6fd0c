import { spawnSync } from 'node:child_process';
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { SourceMap, type SourceMapping } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { createApiKey } from '../../src/platform/auth/api-key.js';
import { startProgram } from '../../test/support/program.js';
import { createTestDatabase } from '../../test/support/test-database.js';
import { until } from '../../test/support/until.js';

const { devDependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as { devDependencies: object };
const megabytes = (...files: string[]) => files.reduce((sum, file) => sum + statSync(file).size, 0) / 1e6;

describe('dist/', () => {
  it('starts from three files, of which Node finds two', async () => {
    const preload = new URL('../support/report-loaded.mjs', import.meta.url).href;
    const program = await startProgram({
      DATABASE_URL: 'postgresql://127.0.0.1:1/none',
      LOG_LEVEL: 'debug',
      MCP_ENABLED: 'true',
      NODE_OPTIONS: `--import=${preload}`,
    });
    await program.stop();
    const { files = [] } = program.lines.find(({ message }) => message === 'Loaded') as { files?: string[] };
    // The name of a class, which esbuild would change because the class speaks of itself.
    expect(program.lines.map(({ context }) => context)).toContain('RoutesResolver');
    // The third, app.js, is read by launch.cjs.
    expect(files.map((file) => basename(file))).toEqual(['main.js', 'launch.cjs']);
  });

  it('has the MCP SDK in a file that the start does not load', () => {
    const contains = (file: string) => readFileSync(file, 'utf8').includes('io.modelcontextprotocol/clientInfo');
    expect(contains('dist/app.js')).toBe(false);
    expect(contains('dist/lazy/@modelcontextprotocol-server.js')).toBe(true);
  });

  it('has what V8 has compiled, in a form that this V8 takes', () => {
    const check = `new vm.Script(fs.readFileSync('dist/app.js', 'latin1'), { cachedData: fs.readFileSync('dist/app.cache') })`;
    const { stdout } = spawnSync(process.execPath, ['-p', `${check}.cachedDataRejected`], { encoding: 'utf8' });
    expect(stdout.trim()).toBe('false');
  });

  it('is small', () => {
    expect(megabytes('dist/app.js')).toBeLessThan(4.5);
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

  it('exits with 1 and the required version on an older Node', () => {
    const { engines } = JSON.parse(readFileSync('package.json', 'utf8')) as { engines: { node: string } };
    const [major] = /\d+/.exec(engines.node)!;
    const older = String(Number(major) - 1);
    const versions = `Object.defineProperty(process, 'versions', { value: { node: '${older}.1.0' } })`;
    const program = `${versions}; require('./dist/launch.cjs').launch('main')`;
    const { status, stderr } = spawnSync(process.execPath, ['-e', program], { encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toBe(
      `dist/ requires Node ${major}, but this is Node ${older}.1.0. In a clone, run node_modules/.bin/node\n`,
    );
  });
});

describe('dist/precompile.cjs', () => {
  const precompile = (app: string) => {
    const folder = mkdtempSync(join(tmpdir(), 'dist-'));
    for (const file of ['launch.cjs', 'precompile.cjs']) cpSync(join('dist', file), join(folder, file));
    writeFileSync(join(folder, 'app.js'), `(exports) => { ${app} }`);
    const { status, stderr } = spawnSync(process.execPath, ['precompile.cjs'], { cwd: folder, encoding: 'utf8' });
    const files = globSync('*', { cwd: folder }).filter((file) => file.startsWith('app.cache'));
    rmSync(folder, { recursive: true });
    return { status, stderr, files };
  };

  it('writes the code cache after the warm-up', () => {
    const result = precompile(`exports['warm-up'] = () => ({ warmUp: async () => undefined });`);
    expect(result).toEqual({ status: 0, stderr: '', files: ['app.cache'] });
  });

  it('warns and writes nothing when the warm-up fails', () => {
    const { stderr, ...result } = precompile(`throw new Error('no platform');`);
    expect(result).toEqual({ status: 0, files: [] });
    expect(stderr).toBe('Warning: dist/ has no code cache, so the service starts slower: Error: no platform\n');
  });

  it('ends a warm-up that hangs', () => {
    const { stderr, ...result } = precompile(`exports['warm-up'] = () => { for (;;); };`);
    expect(result).toEqual({ status: 0, files: [] });
    expect(stderr).toMatch(/^Warning: .*: no result after \d+ s\n$/);
  }, 60_000);
});

describe('stack traces of dist/', () => {
  const sources = globSync('src/**/*.ts', { exclude: ['**/*.spec.ts'] }).map((file) => ({
    file,
    lines: readFileSync(file, 'utf8').split('\n'),
  }));

  it('name the line of src/ of an unexpected error', async () => {
    const database = await createTestDatabase({ empty: true }); // without the table api_keys
    const program = await startProgram({ DATABASE_URL: database.url });
    const headers = { 'x-api-key': createApiKey().key };
    await until(async () => (await fetch(`${program.url}/v1/me`, { headers })).status === 500);
    expect(await program.stop()).toBe(0);
    await database.drop();
    const service = sources.find(({ file }) => file.endsWith('/api-keys.service.ts'))!;
    const line = service.lines.findIndex((text) => text.includes('await this.keys.query')) + 1;
    const place = `ApiKeysService.find (${service.file}:${line}:`;
    expect(program.lines).toContainEqual(
      expect.objectContaining({ severity: 'ERROR', stack_trace: expect.stringContaining(place) }),
    );
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
