// `npx nest generate tool FEATURE/NAME`: a tool for agents in the folder of a feature.
import { strings } from '@angular-devkit/core';
import {
  apply,
  applyTemplates,
  chain,
  mergeWith,
  move,
  noop,
  SchematicsException,
  url,
} from '@angular-devkit/schematics';
import { isEsmProject, ModuleDeclarator } from '@nestjs/schematics';
import { format } from '../format.mjs';

const MAX_NAME = 64;

export function tool({ name: given, spec }) {
  return (tree, { logger }) => {
    const view = viewOf(given, tree);
    const files = (from, to) => mergeWith(apply(url(`./files/${from}`), [applyTemplates(view), move(to)]));
    return chain([
      files('src', view.folder),
      spec === false ? noop() : files('test', 'test'),
      provideIn(view),
      format,
      () => logger.info(`Next: describe the tool in ${view.file}, then npm test -- ${view.feature}-${view.name}`),
    ]);
  };
}

/** Returns the variables of the templates. */
function viewOf(given, tree) {
  const [, path, feature, name] =
    /^(?:src\/)?((?:[a-z][a-z0-9-]*\/)*?([a-z][a-z0-9-]*))\/([a-z][a-z0-9-]*)$/.exec(given) ?? [];
  if (!name) throw new SchematicsException(`"${given}" is not FEATURE/NAME. Use a name such as invoices/send-reminder`);
  const folder = `src/${path}`;
  const module = `${folder}/${feature}.module.ts`;
  const file = `${folder}/${name}.tool.ts`;
  const toolName = strings.underscore(`${feature}_${name}`);
  if (!tree.exists(module))
    throw new SchematicsException(`${module} is missing. Run: npx nest generate module ${path}`);
  if (tree.exists(file)) throw new SchematicsException(`${file} already exists. Use another name`);
  if (toolName.length > MAX_NAME)
    throw new SchematicsException(`${toolName} is longer than ${MAX_NAME} characters. Use a shorter name`);
  const title = strings.capitalize(name.replaceAll('-', ' '));
  const up = '../'.repeat(folder.split('/').length - 1);
  return { folder, module, file, feature, name, toolName, title, up, Name: strings.classify(name) };
}

/** Adds the tool to the `providers` of the feature's module. */
function provideIn({ folder, module, name }) {
  return (tree) => {
    const declaration = { metadata: 'providers', type: 'tool', name, path: `/${folder}`, module: `/${module}` };
    const isEsm = isEsmProject(tree);
    tree.overwrite(module, new ModuleDeclarator().declare(tree.readText(module), { ...declaration, isEsm }));
  };
}
