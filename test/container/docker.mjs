import { execFile, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';

const exec = promisify(execFile);

/** Label of all containers and networks of this run, for their removal. */
export const LABEL = `container-test=${process.pid}`;

/** @returns the trimmed standard output */
export async function docker(...args) {
  const { stdout } = await exec('docker', args, { maxBuffer: 64 * 1024 * 1024 });
  return stdout.trim();
}

/** Exits with an error message if Docker is not available. */
export function requireEngine() {
  const missing = findMissing();
  if (!missing) return;
  console.error(`test:container needs ${missing}`);
  process.exit(1);
}

function findMissing() {
  if (process.platform !== 'linux') {
    return 'Linux. Docker Desktop cannot share the Unix socket of the database with a container.';
  }
  const { status, error, stderr } = spawnSync('docker', ['info'], { encoding: 'utf8' });
  if (error) return 'Docker. `docker` is not on PATH.';
  return status === 0 ? undefined : `a running Docker engine: ${stderr.trim()}`;
}

/** Builds docker/Dockerfile like the pipeline, or uses IMAGE. @returns the name of the image */
export function buildImage() {
  if (process.env.IMAGE) return process.env.IMAGE;
  const { name } = JSON.parse(readFileSync('package.json', 'utf8'));
  const tag = `${name}:container-test`;
  const commit = spawnSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' }).stdout?.trim() || '0'.repeat(40);
  const args = ['build', '--file', 'docker/Dockerfile', '--build-arg', `COMMIT_SHA=${commit}`, '--tag', tag, '.'];
  if (spawnSync('docker', args, { stdio: 'inherit' }).status !== 0) throw new Error('The image could not be built.');
  return tag;
}

/**
 * Creates a network without address translation. Containers cannot receive packets from outside this machine, and only
 * the published port is reachable.
 */
export async function createNetwork() {
  const isolation = 'com.docker.network.bridge.enable_ip_masquerade=false';
  const name = `container-test-${process.pid}`;
  await docker('network', 'create', '--label', LABEL, '--opt', isolation, name);
  return name;
}

/** Removes the containers and networks of this run. */
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
