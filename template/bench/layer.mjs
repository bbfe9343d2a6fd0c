// The bytes that the image adds to Node's own, without building it.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join, relative } from 'node:path';

/**
 * In megabytes: what docker/Dockerfile copies into its last stage, measured in this clone after a build, less what it
 * deletes before; undefined when something of it exists in the image alone.
 */
export function measureLayer() {
  const dockerfile = readFileSync('docker/Dockerfile', 'utf8').replaceAll(/\\\n/g, ' ');
  const deleted = deletedFrom(dockerfile);
  const paths = copiedInLastStage(dockerfile);
  const missing = paths.filter((path) => !existsSync(path));
  if (missing.length > 0) {
    console.log(`The layer is not measured: docker/Dockerfile copies ${missing.join(' and ')}, which is not here.`);
    return undefined;
  }
  const bytes = paths.flatMap((path) =>
    filesOf(path)
      .filter(
        (file) => !deleted.some(({ folder, ending }) => file.startsWith(folder) && basename(file).endsWith(ending)),
      )
      .map((file) => statSync(file).size),
  );
  return bytes.reduce((sum, each) => sum + each, 0) / 1e6;
}

/** Paths in the clone, which every stage has in /app. */
export function copiedInLastStage(dockerfile) {
  const stage = dockerfile.split(/^FROM /m).at(-1);
  return [...stage.matchAll(/^COPY (?:--\S+ )*(.+) \S+$/gm)].flatMap(([, sources]) =>
    sources.split(/\s+/).map((source) => relative('/app', source)),
  );
}

/** Of `find FOLDER … -name '*.map' … -delete`. */
export function deletedFrom(dockerfile) {
  return [...dockerfile.matchAll(/find (\S+) ([^&\n]*)-delete/g)].flatMap(([, folder, tests]) =>
    [...tests.matchAll(/-name '\*([^']+)'/g)].map(([, ending]) => ({ folder, ending })),
  );
}

function filesOf(path) {
  if (!statSync(path).isDirectory()) return [path];
  if (path === 'node_modules') return productionPackages().flatMap(filesOf);
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.name !== 'node_modules' && (entry.isFile() || entry.isDirectory()))
    .flatMap((entry) => filesOf(join(path, entry.name)));
}

/** As `npm ci --omit=dev --omit=optional` would leave: a clone has what builds and tests the service as well. */
function productionPackages() {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));
  const isLeftOut = ({ dev, optional, devOptional, link }) => dev || optional || devOptional || link;
  return Object.keys(packages).filter((path) => path.startsWith('node_modules/') && !isLeftOut(packages[path]));
}
