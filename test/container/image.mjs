import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { readSettings } from '../../tools/build/settings.mjs';
import { docker, LABEL } from './docker.mjs';

/** Checks the configuration and the files of the image: only what the service needs to run. */
export async function inspectImage(image) {
  const { Config: config } = JSON.parse(await docker('image', 'inspect', image))[0];
  assert.match(config.User, /^[1-9]\d*(:\d+)?$/, 'the user must be numeric and not root');
  assert.match(config.Entrypoint[0], /\/node$/, 'process 1 must be Node');

  const commit = config.Labels['org.opencontainers.image.revision'];
  assert.match(commit, /^[0-9a-f]{7,40}$/, 'a label must name the commit');

  const files = await listFiles(image);
  const names = [...files.keys()];
  const unwanted = names.filter((name) => /(^|\/)(sh|bash|busybox|npm|npx|apt)$|\.(ts|mts|cts)$|\.env/.test(name));
  assert.deepEqual(unwanted, []);

  const compiled = `{ cachedData: fs.readFileSync('dist/app.cache') }`;
  const rejected = `new vm.Script(fs.readFileSync('dist/app.js', 'latin1'), ${compiled}).cachedDataRejected`;
  const output = await docker('run', '--rm', '--label', LABEL, image, '-p', rejected);
  assert.equal(output.trim(), 'false', 'V8 must accept the code cache');

  const ours = names.filter((name) => name.startsWith('app/')).map((name) => files.get(name));
  const megabytes = ours.reduce((sum, size) => sum + size, 0) / 1e6;
  const { maxMegabytes } = readSettings();
  const remedy = `more than "bundle": { "maxMegabytes": ${maxMegabytes} } of package.json`;
  assert.ok(megabytes < maxMegabytes, `${megabytes.toFixed(1)} MB in /app, ${remedy}`);
  return { commit, text: `user ${config.User}; ${megabytes.toFixed(1)} MB in /app; no shell, no npm, no sources` };
}

/** @returns the size of each file by its name */
async function listFiles(image) {
  const container = await docker('create', '--label', LABEL, image);
  const exported = spawn('docker', ['export', container], { stdio: ['ignore', 'pipe', 'inherit'] });
  const listed = spawn('tar', ['--list', '--verbose'], { stdio: [exported.stdout, 'pipe', 'inherit'] });
  const [files, [code]] = await Promise.all([text(listed.stdout), once(listed, 'close')]);
  assert.equal(code, 0);
  // -rw-r--r-- root/root 3926 2026-01-01 00:00 app/package.json
  const lines = [...files.matchAll(/^\S+ +\S+ +(\d+) \S+ \S+ (.+)$/gm)];
  return new Map(lines.map(([, size, name]) => [name, Number(size)]));
}
