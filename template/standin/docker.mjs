// The docker commands that the pipeline uses, and the registry's side of a push.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { OTHERS } from './commands.mjs';
import { ask, callerOf } from './permissions.mjs';
import { imageName, imageRepository } from './platform.mjs';
import { Refusal } from './refusal.mjs';

const USAGE = {
  build: ['--file', '--build-arg', '--tag'],
  push: [],
};

export function machineOf(state, { HOME }) {
  state.machines[HOME] ??= { images: {}, registries: [] };
  return state.machines[HOME];
}

export function docker({ state }, { words: [command, ...rest], environment, cwd }) {
  const answer = { status: 0, stdout: '', stderr: '' };
  try {
    const { options, names } = parse(command, rest);
    const machine = machineOf(state, environment);
    if (command === 'build') answer.stdout = build(state, machine, options, resolve(cwd, names[0]));
    if (command === 'push') {
      const registry = names[0].split('/')[0];
      const caller = machine.registries.includes(registry) ? callerOf(state, environment) : undefined;
      answer.caller = caller;
      answer.stdout = push(state, machine, names[0], caller);
    }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    answer.status = error.status;
    answer.stderr = `${error.message}\n`;
  }
  return answer;
}

function parse(command, words) {
  if (!USAGE[command]) throw new Refusal(`docker: unknown command: docker ${command}`, 125);
  const options = {};
  const names = [];
  for (let index = 0; index < words.length; index++) {
    if (!words[index].startsWith('-')) names.push(words[index]);
    else if (!USAGE[command].includes(words[index])) throw new Refusal(`unknown flag: ${words[index]}`, 125);
    else options[words[index].slice(2)] = words[(index += 1)];
  }
  if (names.length !== 1) throw new Refusal(`docker ${command} requires 1 argument`, 125);
  return { options, names };
}

/** Two builds of one commit have different digests, because an image contains timestamps. */
export function build(state, machine, { file, tag, 'build-arg': argument = '' }, context, hasBuildKit = true) {
  const dockerfile = readFileSync(resolve(context, file), 'utf8');
  if (!hasBuildKit && /^RUN --mount/m.test(dockerfile)) {
    throw new Refusal(
      'the --mount option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/ to learn how to build images with BuildKit enabled',
    );
  }
  state.count += 1;
  const commit = /^COMMIT_SHA=(.*)$/.exec(argument)?.[1];
  const digest = `sha256:${createHash('sha256').update(`${commit} ${state.count}`).digest('hex')}`;
  state.images[digest] = { commit };
  machine.images[tag] = digest;
  return `Successfully built ${digest.slice(7, 19)}\nSuccessfully tagged ${tag}\n`;
}

export function push(state, machine, image, caller) {
  const digest = machine.images[image];
  if (!digest) throw new Refusal(`An image does not exist locally with the tag: ${image}`);
  const { name, tag } = imageName(image);
  const repository = imageRepository(state, image);
  const what = `"artifactregistry.repositories.uploadArtifacts"`;
  const where = `on resource "${repository.fullName}" (or it may not exist)`;
  if (!caller)
    throw new Refusal(
      `denied: Unauthenticated request. Unauthenticated requests do not have permission ${what} ${where}`,
    );
  try {
    ask(caller, OTHERS['docker push'], { repository });
  } catch (error) {
    if (!(error instanceof Refusal) || error.message.includes('has not been used')) throw error;
    throw new Refusal(`denied: Permission ${what} denied ${where}`);
  }
  if (!repository.object) throw new Refusal(`name unknown: Repository "${repository.name.split('/')[1]}" not found`);
  repository.object.packages[name] ??= { versions: {}, tags: {} };
  repository.object.packages[name].versions[digest] = { createTime: new Date().toISOString() };
  repository.object.packages[name].tags[tag] = digest;
  return `The push refers to repository [${image.split(':')[0]}]\n${tag}: digest: ${digest} size: 1234\n`;
}
