// References to existing resources.
import { posix } from 'node:path';
import { inUseProblem } from './problems.mjs';

/** Returns a function that finds the folder of a resource by its entity. The label of an option begins its errors. */
export function findResource(tree) {
  return (label, { plural, singular, table }) => {
    const folders = [];
    tree.getDir('src').visit((path) => {
      if (path.endsWith('.entity.ts') && !path.startsWith('/src/platform/')) folders.push(posix.dirname(path));
    });
    const folder = folders.find((each) => posix.basename(each) === plural);
    const [entity, problems] = ['entity', 'problems'].map((part) => `${folder}/${singular}.${part}.ts`);
    if (!folder || !tree.exists(entity) || !tree.readText(entity).includes(`@Entity('${table}')`)) {
      const known = [...new Set(folders.map((each) => posix.basename(each)))].join(', ') || 'none';
      throw new Error(`${label}: no resource is named ${plural}. Resources: ${known}`);
    }
    if (!tree.exists(problems)) throw new Error(`${label}: ${problems} with the problems of ${plural} is missing`);
    return { folder: folder.slice(1) };
  };
}

/** The referenced resources, each once, with the path of their folder from that of the new resource. */
export function targetsOf(references, folder) {
  const others = references.filter(({ isSelf }) => !isSelf).map(({ target }) => target);
  const byName = new Map(others.map((target) => [target.plural, target]));
  return Array.from(byName.values(), (target) => ({ ...target, path: posix.relative(folder, target.folder) }));
}

const problemsFile = ({ folder, singular }) => `${folder}/${singular}.problems.ts`;

/** Rejects a resource whose test data cannot be created. */
export function requireTestSupport(tree, { plural, Singular }) {
  const file = `test/support/${plural}.ts`;
  if (tree.exists(file) && tree.readText(file).includes(`function create${Singular}(`)) return;
  throw new Error(`The tests need create${Singular}() in ${file}: write it, or use --no-spec. Nothing was written`);
}

/** Whether the resource contains rows of another table: see nest.mjs. */
export const containsRows = (tree, { folder, singular }) =>
  tree.readText(`${folder}/${singular}.entity.ts`).includes('@OneToMany(');

/** Whether the deletion of a referenced row of the resource has a problem. */
export const definesInUse = (tree, target) =>
  tree.readText(problemsFile(target)).includes(`'${inUseProblem(target).code}'`);

/** Defines the problem of a resource that the new one references, and documents it at the DELETE route. */
export function defineInUse(target) {
  return (tree, { logger }) => {
    const { variable, code, status, title } = inUseProblem(target);
    const file = problemsFile(target);
    tree.overwrite(
      file,
      `${tree.readText(file)}export const ${variable} = defineProblem('${code}', ${status}, '${title}');\n`,
    );
    const controller = `${target.folder}/${target.plural}.controller.ts`;
    const before = tree.exists(controller) ? tree.readText(controller) : '';
    const after = before.replace(
      /(@ApiProblems\(problems\.[^)]*)(\)\s+(?:async )?remove\()/,
      `$1, problems.${variable}$2`,
    );
    if (after !== before) tree.overwrite(controller, after);
    else logger.warn(`Add ${variable} to the @ApiProblems() of the DELETE route of ${target.plural}.`);
  };
}
