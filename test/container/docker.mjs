import { execFile, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';

const exec = promisify(execFile);

/** The label of everything that this run creates. */
export const LABEL = `container-test=${process.pid}`;

/** @returns the output */
export async function docker(...args) {
  const { stdout } = await exec('docker', args, { maxBuffer: 64 * 1024 * 1024 });
  return stdout.trim();
}

/** Exits with a message if there is no Docker engine. */
export function requireEngine() {
  const missing = findMissing();
  if (!missing) return;
  console.error(`test:container needs ${missing}`);
  process.exit(1);
}

function findMissing() {
  if (process.platform !== 'linux') {
    return 'Linux: the Unix socket of the database, as with Cloud SQL, is not shared with a virtual machine.';
  }
  const { status, error, stderr } = spawnSync('docker', ['info'], { encoding: 'utf8' });
  if (error) return '`docker` on PATH.';
  return status === 0 ? undefined : `a running Docker engine: ${stderr.trim()}`;
}

/** Builds docker/Dockerfile as the pipeline does, unless IMAGE is set. @returns the name of the image */
export function buildImage() {
  if (process.env.IMAGE) return process.env.IMAGE;
  const { name } = JSON.parse(readFileSync('package.json', 'utf8'));
  const tag = `${name}:container-test`;
  const commit = spawnSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' }).stdout?.trim() || '0'.repeat(40);
  const args = ['build', '--file', 'docker/Dockerfile', '--build-arg', `COMMIT_SHA=${commit}`, '--tag', tag, '.'];
  if (spawnSync('docker', args, { stdio: 'inherit' }).status !== 0) throw new Error('The image could not be built.');
  return tag;
}

/** A network without access to other machines: its addresses are not translated. Published ports work. */
export async function createNetwork() {
  const isolation = 'com.docker.network.bridge.enable_ip_masquerade=false';
  const name = `container-test-${process.pid}`;
  await docker('network', 'create', '--label', LABEL, '--opt', isolation, name);
  return name;
}

/** Removes the containers and the network of this run. */
export function removeAll() {
  const list = (...command) =>
    spawnSync('docker', [...command, '--quiet', '--filter', `label=${LABEL}`], { encoding: 'utf8' })
      .stdout.split('\n')
      .filter(Boolean);
  const containers = list('ps', '--all');
  if (containers.length > 0) spawnSync('docker', ['rm', '--force', '--volumes', ...containers]);
  const networks = list('network', 'ls');
  if (networks.length > 0) spawnSync('docker', ['network', 'rm', ...networks]);
}
