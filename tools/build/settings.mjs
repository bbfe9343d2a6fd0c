import { existsSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';

export const DEFAULT_PROGRAMS = ['migrate', 'api-keys'];

const SETTINGS = {
  programs: DEFAULT_PROGRAMS,
  external: [],
  folders: [],
  maxMegabytes: 20,
};

/**
 * Returns the settings of the build: "bundle" in package.json. docs/development.md describes them.
 *
 * @throws {Error} with the wrong setting and its remedy
 */
export function readSettings() {
  const { bundle = {}, dependencies = {} } = JSON.parse(readFileSync('package.json', 'utf8'));
  const settings = { ...SETTINGS, ...bundle };
  for (const [name, value] of Object.entries(settings)) {
    const wanted = SETTINGS[name];
    if (wanted === undefined) reject(`has no setting "${name}"; use ${Object.keys(SETTINGS).join(', ')}`);
    if (Array.isArray(wanted) !== Array.isArray(value) || (!Array.isArray(wanted) && !(value > 0))) {
      reject(`.${name} must be ${Array.isArray(wanted) ? 'a list of names' : 'a number'}`);
    }
  }
  for (const name of settings.programs) {
    if (!existsSync(`src/${name}.ts`)) reject(`.programs names ${name}, but there is no src/${name}.ts`);
  }
  for (const name of settings.external) {
    if (isBuiltin(name) || !existsSync(`node_modules/${name}/package.json`)) {
      reject(`.external names ${name}, which is not an installed package; run npm install ${name}`);
    }
  }
  for (const folder of settings.folders) {
    if (/^(src|dist|build|node_modules)\b|^[./]/.test(folder)) {
      reject(`.folders names ${folder}; use a folder beside src/, such as "templates". Files in src/ need no setting`);
    }
    if (!existsSync(folder)) {
      reject(`.folders names ${folder}, which is not here. For the image, add the line !/${folder} to .dockerignore`);
    }
  }
  return { ...settings, programs: [...new Set(['main', ...settings.programs])], dependencies };
}

function reject(reason) {
  throw new Error(`package.json: "bundle"${reason.startsWith('.') ? '' : ' '}${reason}.`);
}
