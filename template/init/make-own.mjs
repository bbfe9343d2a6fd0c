// Turns a checkout of the starter into the team's service, file by file: for `npm run init`, and for `npm run template:diff`,
// which does it to two versions of the starter and compares them.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import prettier from 'prettier';
import { withAnswers, withHead, withHolder, withoutLinesAbout, withoutParts } from './text.mjs';

const CHANGELOG = '# Changelog\n\n## Unreleased\n';

/**
 * @param folder a checkout of the starter with node_modules
 * @param answers the options of init
 */
export async function makeOwn(folder, answers) {
  const leaves = readJson(join(folder, 'template/init/leaves.json'));
  const template = readJson(join(folder, 'package.json'));
  const going = answers.keepTemplate ? [leaves.always] : [leaves.always, leaves.template];
  if (answers.removeExample) {
    going.push(leaves.example);
    removeResource(folder, 'vouchers');
  }
  const paths = going.flatMap((each) => each.paths);
  for (const path of paths) rmSync(join(folder, path), { recursive: true, force: true });
  const gone = {
    paths,
    scripts: scriptsFrom(template.scripts, paths),
    devDependencies: going.flatMap((each) => each.devDependencies ?? []),
  };

  const changes = new Map(
    filesOf(folder).map(([file, before]) => [file, changed(file, before, template.name, answers, gone)]),
  );
  changes.set('package.json', JSON.stringify(withAnswers(template, answers, gone)));
  changes.set('CHANGELOG.md', CHANGELOG);
  await writeAll(folder, changes);
}

const readJson = (file) => JSON.parse(readFileSync(file, 'utf8'));

function removeResource(folder, name) {
  const args = ['tools/generators/resource-remove.mjs', name, '--delete-migration', '--no-openapi'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
  if (status !== 0) throw new Error(stdout + stderr);
}

/** Returns the scripts that run a file in these paths, with their `pre` scripts. */
function scriptsFrom(scripts, paths) {
  const going = Object.keys(scripts).filter((script) => paths.some((path) => scripts[script].includes(`${path}/`)));
  return going.flatMap((script) => [script, `pre${script}`]);
}

/** Returns the contents of the remaining text files. */
function filesOf(folder) {
  return execFileSync('git', ['ls-files', '-z'], { cwd: folder, encoding: 'utf8' })
    .split('\0')
    .filter((file) => file && existsSync(join(folder, file)))
    .map((file) => [file, readFileSync(join(folder, file), 'utf8')])
    .filter(([, text]) => !text.includes('\0'));
}

function changed(file, before, oldName, answers, gone) {
  let text = before;
  if (file === 'README.md') text = withHead(text, answers);
  if (file === 'LICENSE' && answers.owner) text = withHolder(text, answers.owner);
  text = withoutParts(text, 'init');
  if (!answers.keepTemplate) text = withoutParts(text, 'template');
  if (file.endsWith('.md')) text = withoutLinesAbout(text, gone);
  return text.replaceAll(oldName, answers.name);
}

async function writeAll(folder, changes) {
  for (const [file, text] of changes) {
    const filepath = join(folder, file);
    if (existsSync(filepath) && readFileSync(filepath, 'utf8') === text) continue;
    const { inferredParser, ignored } = await prettier.getFileInfo(filepath, {
      ignorePath: join(folder, '.prettierignore'),
    });
    const options = { ...(await prettier.resolveConfig(filepath)), filepath };
    writeFileSync(filepath, inferredParser && !ignored ? await prettier.format(text, options) : text);
  }
}
