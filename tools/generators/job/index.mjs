// `npx nest generate job NAME`: a program in src/, its Cloud Run job, its schedule and its test.
import {
  apply,
  applyTemplates,
  chain,
  mergeWith,
  move,
  noop,
  SchematicsException,
  strings,
  url,
} from '@angular-devkit/schematics';
import { DEFAULT_PROGRAMS } from '../../build/settings.mjs';
import { format } from '../format.mjs';

const SCHEDULES = 'deploy/schedules.txt';

/** Cloud Run allows 63 characters, of which the name of the service takes up to 22 and a hyphen. */
const MAX_LENGTH = 40;

/** The bundle has files with these names; deploy/bootstrap.sh has a job. */
const RESERVED = new Set(['app', 'warm-up', 'database-roles']);

export function job({ name, spec }) {
  return (tree, context) => {
    checkName(tree, name);
    const files = (folder, to) =>
      mergeWith(apply(url(`./files/${folder}`), [applyTemplates({ name, ...strings }), move(to)]));
    return chain([
      files('src', 'src'),
      files('deploy', 'deploy/jobs'),
      spec === false ? noop() : files('test', 'test/api'),
      addProgram(name),
      addSchedule(name),
      format,
      () =>
        context.logger.info(
          `Next: npm run job -- ${name}, npm test -- test/api/${name}, and "Job" in docs/development.md`,
        ),
    ]);
  };
}

function checkName(tree, name) {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name) || name.length > MAX_LENGTH || RESERVED.has(name)) {
    throw new SchematicsException(
      `"${name}" is not a valid name of a job. Use at most ${MAX_LENGTH} lowercase letters, digits and hyphens, and begin with a letter: delete-drafts`,
    );
  }
  const files = [`src/${name}.ts`, `deploy/jobs/${name}.yaml`, `test/api/${name}.e2e-spec.ts`];
  const taken = [
    ...files.filter((path) => tree.exists(path)),
    ...[`src/${name}`].filter((path) => tree.getDir(path).subfiles.length > 0),
  ];
  if (taken.length > 0) {
    throw new SchematicsException(`${name}: ${taken[0]} already exists. Use another name. Nothing was written`);
  }
}

/** Adds the program to the build: "Bundle settings" in docs/development.md. */
function addProgram(name) {
  return (tree) => {
    const manifest = tree.readJson('package.json');
    const { programs = DEFAULT_PROGRAMS } = manifest.bundle ?? {};
    manifest.bundle = { ...manifest.bundle, programs: [...programs, name] };
    tree.overwrite('package.json', JSON.stringify(manifest));
  };
}

function addSchedule(name) {
  return (tree) =>
    tree.overwrite(SCHEDULES, `${tree.readText(SCHEDULES)}${name.padEnd(20)} all          Etc/UTC        0 3 * * *\n`);
}
