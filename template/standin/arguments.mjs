// Parses the arguments of a command. A usage line declares them in the notation of gcloud's reference:
//
//   'TAG --package= [--limit=] [--async]'   a name, a required flag with a value, two optional flags
//   'SERVICE...'                            one or more names
import { parse as parseYaml } from 'yaml';
import { Refusal } from './refusal.mjs';

const EVERYWHERE = '[--project=] [--format=] [--quiet] [--verbosity=]';
const LISTS = '[--filter=] [--limit=] [--sort-by=] [--flatten=]';

/** Returns the flags and names, keyed as in the usage line. */
export function parse(usage, words, { isList, environment }) {
  const flags = new Map();
  const names = [];
  for (const word of `${usage} ${EVERYWHERE} ${isList ? LISTS : ''}`.match(/\S+/g)) {
    const [, optional, flag, equals] = /^(\[?)--([\w-]+)(=?)\]?$/.exec(word) ?? [];
    if (flag) flags.set(flag, { required: !optional, hasValue: equals === '=' });
    else names.push(word);
  }

  const values = {};
  const given = [];
  const unrecognized = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index];
    if (!word.startsWith('--')) {
      given.push(word);
      continue;
    }
    const [, name, attached] = /^--([^=]+)(?:=([\s\S]*))?$/.exec(word);
    const flag = flags.get(name);
    if (!flag || (!flag.hasValue && attached !== undefined)) unrecognized.push(word);
    else if (!flag.hasValue) values[name] = true;
    else {
      if (attached === undefined) index += 1;
      values[name] = attached ?? words[index];
      if (values[name] === undefined) throw new Refusal(`argument --${name}: expected one argument`, 2);
    }
  }

  for (const name of names) {
    if (name.endsWith('...')) values[name.slice(0, -3)] = given.splice(0);
    else values[name.replace(/[[\]]/g, '')] = given.shift();
  }
  unrecognized.push(...given);
  if (unrecognized.length > 0) {
    throw new Refusal(
      `unrecognized arguments:\n  ${unrecognized.join('\n  ')}\nTo search the help text of gcloud commands, run:\n  gcloud help -- SEARCH_TERMS`,
      2,
    );
  }
  fromEnvironment(values, flags, environment);
  const missing = [
    ...names.filter((name) => !name.startsWith('[') && (values[name.replace('...', '')]?.length ?? 0) === 0),
    ...[...flags].filter(([name, { required }]) => required && values[name] === undefined).map(([name]) => `--${name}`),
  ];
  if (missing.length > 0) throw new Refusal(`argument ${missing.join(' ')}: Must be specified.`, 2);
  return values;
}

/** Parses KEY=VALUE,KEY=VALUE. */
export function labelsOf(text = '') {
  return Object.fromEntries(
    text
      .split(',')
      .filter(Boolean)
      .map((pair) => pair.split('=')),
  );
}

export function updateLabels(object, args) {
  object.labels = { ...object.labels, ...labelsOf(args['update-labels']) };
  return '';
}

/** Replaces --flags-file=- by the flags in the YAML of the standard input. */
export function expandFlagsFile(words, stdin) {
  return words.flatMap((word) =>
    word === '--flags-file=-' ? Object.entries(parseYaml(stdin)).map(([flag, value]) => `${flag}=${value}`) : [word],
  );
}

/** Adds the defaults that google-github-actions/auth and setup-gcloud export. */
function fromEnvironment(values, flags, environment) {
  values.project ??= environment.CLOUDSDK_CORE_PROJECT;
  if (flags.has('region')) values.region ??= environment.CLOUDSDK_RUN_REGION;
}
