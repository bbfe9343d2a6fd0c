// The bytes that the image adds to Node's own, without building it.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';

/**
 * What docker/Dockerfile copies into its last stage, measured in this clone after a build; the compiled code, which the
 * image makes anew, has the same size.
 * @returns megabytes, unpacked and as a registry keeps them; undefined when something of it exists in the image alone
 */
export function measureLayer() {
  const paths = copiedInLastStage(readFileSync('docker/Dockerfile', 'utf8'));
  const missing = paths.filter((path) => !existsSync(path));
  if (missing.length > 0) {
    console.log(`The layer is not measured: docker/Dockerfile copies ${missing.join(' and ')}, which is not here.`);
    return undefined;
  }
  const archive = execFileSync('tar', ['-c', '-z', ...paths], { maxBuffer: 1e9 });
  return { unpacked: paths.reduce((sum, path) => sum + bytesOf(path), 0) / 1e6, packed: archive.length / 1e6 };
}

/** Paths in the clone, which every stage has in /app. */
export function copiedInLastStage(dockerfile) {
  const stage = dockerfile
    .replaceAll(/\\\n/g, ' ')
    .split(/^FROM /m)
    .at(-1);
  return [...stage.matchAll(/^COPY (?:--\S+ )*(.+) \S+$/gm)].flatMap(([, sources]) =>
    sources
      .trim()
      .split(/\s+/)
      .map((source) => relative('/app', source)),
  );
}

function bytesOf(path) {
  const files = readdirSync(path, { recursive: true }).map((file) => statSync(join(path, file)));
  return files.reduce((sum, stats) => sum + (stats.isFile() ? stats.size : 0), 0);
}
