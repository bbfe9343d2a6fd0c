// Measures the size that the image adds to its Node base image, without building the image.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';

/**
 * Measures the files that `docker/Dockerfile` copies to its last stage, in this clone after a build. The code compiled
 * in the image has the same size.
 * @returns megabytes, uncompressed and compressed as in a registry; undefined if a file exists only in the image
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

/** Returns the copied paths, relative to the clone. Every stage has the clone in /app. */
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
