// Handles a gcloud call: parses it, authenticates and authorizes the caller, runs the command and formats the output.
import { expandFlagsFile, parse } from './arguments.mjs';
import { COMMANDS } from './commands.mjs';
import { artifacts } from './commands/artifacts.mjs';
import { auth } from './commands/auth.mjs';
import { builds } from './commands/builds.mjs';
import { iam } from './commands/iam.mjs';
import { policies } from './commands/policies.mjs';
import { projects } from './commands/projects.mjs';
import { run } from './commands/run.mjs';
import { scheduler } from './commands/scheduler.mjs';
import { secrets } from './commands/secrets.mjs';
import { sql } from './commands/sql.mjs';
import { storage } from './commands/storage.mjs';
import { matches, print } from './expressions.mjs';
import { authorize, callerOf } from './permissions.mjs';
import { Refusal } from './refusal.mjs';
import { resource } from './resources.mjs';

/** Handlers by command: the usage line, the handler, and whether it changes the state. */
export const HANDLERS = {
  ...artifacts,
  ...auth,
  ...builds,
  ...iam,
  ...policies,
  ...projects,
  ...run,
  ...scheduler,
  ...secrets,
  ...sql,
  ...storage,
};

/** The resource of a permission check, by its keyword in commands.mjs. A handler's `on` returns resources that are not arguments. */
const WHERE = {
  account: ({ find, args }) => find('account', args.SERVICE_ACCOUNT ?? args['iam-account']),
  bucket: ({ find, args }) => find('bucket', args.BUCKET.replace(/^gs:\/\//, '').replace(/\/$/, '')),
  instance: ({ find, args }) => find('instance', args.INSTANCE ?? args.instance),
  job: ({ find, args }) => find('job', `${args.region}/${args.JOB ?? args.job}`),
  project: ({ find }) => find('project'),
  repository: ({ find, args }) => find('repository', `${args.location}/${args.REPOSITORY ?? args.repository}`),
  schedule: ({ find, args }) => find('schedule', `${args.location}/${args.JOB}`),
  secret: ({ find, args }) => find('secret', args.SECRET ?? args.secret),
  service: ({ find, args }) => find('service', `${args.region}/${args.SERVICE ?? args.service}`),
};

/** @returns {{ status: number, stdout: string, stderr: string, caller?: string }} */
export function gcloud(cloud, { words, ...call }) {
  const { name, rest } = commandOf(words);
  const answer = { status: 0, stdout: '', stderr: cloud.faults.warns ? 'WARNING: gcloud has something to say.\n' : '' };
  try {
    const handler = HANDLERS[name];
    if (!handler) throw invalidChoice(words, name);
    const args = parse(handler.usage, expandFlagsFile(rest, call.stdin), {
      isList: handler.isList,
      environment: call.environment,
    });
    const { state } = cloud;
    const context = { ...call, args, cloud, state, name, say: (text) => (answer.stderr += `${text}\n`) };
    if (handler.asks && !args.quiet && call.environment.CLOUDSDK_CORE_DISABLE_PROMPTS !== '1') {
      throw new Refusal(
        'This prompt could not be answered because you are not in an interactive session. Use --quiet to accept its default.',
      );
    }
    context.caller = callerOf(state, call.environment);
    answer.caller = context.caller;
    const projectId = args.PROJECT_ID ?? args.project;
    context.find = (kind, resourceName) => resource(state, kind, projectId, resourceName);
    if (COMMANDS[name].length > 0) {
      if (!context.caller)
        throw new Refusal(
          'You do not currently have an active account selected.\nPlease run:\n\n  $ gcloud auth login',
        );
      if (!projectId && !args.BUCKET)
        throw new Refusal(
          'The required property [project] is not currently set.\nYou may set it for your current workspace by running:\n\n  $ gcloud config set project VALUE',
        );
    }
    context.project = context.find('project').object;
    const locate = { ...WHERE, ...handler.on?.(context) };
    for (const [permission, where] of COMMANDS[name]) {
      const on = typeof locate[where] === 'function' ? locate[where](context) : locate[where];
      if (on) (handler.authorize ?? authorize)(context.caller, permission, on);
    }
    const result = handler.run(context);
    answer.stdout = typeof result === 'string' ? result : show(result, args);
    if (handler.changes && cloud.interrupts(words)) throw new Refusal('connection reset');
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    answer.status = error.status;
    answer.stderr += `ERROR: (gcloud.${name.replaceAll(' ', '.')}) ${error.message}\n`;
    answer.stdout += error.stdout ?? '';
  }
  return answer;
}

/** Returns the longest prefix that is a command, or the words before the first flag. */
function commandOf(words) {
  for (let count = words.length; count > 0; count--) {
    const name = words.slice(0, count).join(' ');
    if (Object.hasOwn(HANDLERS, name)) return { name, rest: words.slice(count) };
  }
  const names = Object.keys(HANDLERS);
  let count = 0;
  while (count < words.length && names.some((name) => name.startsWith(`${words.slice(0, count + 1).join(' ')} `)))
    count += 1;
  return { name: words.slice(0, count).join(' '), rest: [] };
}

function invalidChoice(words, group) {
  const choice = words[group ? group.split(' ').length : 0];
  return new Refusal(
    choice
      ? `Invalid choice: '${choice}'.\nThis command is available in one or more alternate release tracks, or the stand-in does not support it.`
      : 'Command name argument expected.',
    2,
  );
}

/** Formats a resource or a list, after --flatten, --filter and --limit. */
function show(result, { format, filter, limit, flatten, 'sort-by': sortBy }) {
  if (sortBy) throw new Refusal(`The stand-in does not support --sort-by=${sortBy}.`);
  let shown = flatten ? flattened(result, flatten) : result;
  if (filter) shown = shown.filter((item) => matches(filter, item));
  if (limit) shown = shown.slice(0, Number(limit));
  // gcloud's default is a table or YAML. Scripts must not parse it, so JSON is enough here.
  return shown === undefined ? '' : print(format ?? 'json', shown);
}

/** Returns a row for each member of each binding: --flatten='bindings[].members'. */
function flattened(policy, path) {
  if (path !== 'bindings[].members') throw new Refusal(`The stand-in does not support --flatten=${path}.`);
  return policy.bindings.flatMap((binding) =>
    binding.members.map((members) => ({ bindings: { ...binding, members } })),
  );
}
