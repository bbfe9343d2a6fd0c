// Common features of all commands: options, --help, and for an error, one line and exit code 1.
import { execFileSync, spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

/** Options that npm has, too: an .npmrc may set them. */
const NPM_OPTIONS = new Set(['help', 'json', 'offline', 'yes']);

/** A wrong option or operand. Its message is printed with the synopsis. */
export class UsageError extends Error {}

/** Where child processes print: with --json, standard output has only the result. */
let stdio = 'inherit';

/**
 * Runs a command. The exit code is 1 if `run` throws an Error, whose message is printed. With --json, which a command declares
 * like any other option, the result of `run` or `{ error }` is printed as JSON, and all other output goes to standard error.
 *
 * @param {string} usage the text of --help, which also declares operands and options. The first line has the operands, in
 *   capitals after the --. Each line that begins with two spaces has an option, as in `  --fast` or `  --fields=LIST`.
 * @param {(options: Record<string, any>, operands: string[]) => unknown} run
 * @param {string[]} [args] defaults to those of the process
 */
export async function runCommand(usage, run, args = process.argv.slice(2)) {
  const [synopsis] = usage.split('\n');
  const { log } = console;
  const printJson = (result) => log(JSON.stringify(result, undefined, 2));
  const isJson = args.includes('--json') && usage.includes('\n  --json ');
  if (isJson) {
    stdio = ['inherit', process.stderr, 'inherit'];
    console.log = console.error;
  }
  try {
    const { values, positionals } = parse(args, synopsis, usage);
    if (values.help) return log(usage);
    const result = await run(values, positionals);
    if (isJson) printJson(result);
  } catch (error) {
    const message = error instanceof UsageError ? `${error.message}. ${synopsis}` : error.message;
    console.error(message);
    if (isJson) printJson({ error: message.trim() });
    process.exitCode = 1;
  }
}

function parse(args, synopsis, usage) {
  const [, operands = ''] = / -- ((?:[A-Z]+ ?)+)/.exec(synopsis) ?? [];
  const names = operands.split(' ').filter(Boolean);
  const declared = [...usage.matchAll(/^ {2}--([\w-]+)(?:=([A-Z]+))? /gm)];
  // Without the --, npm consumes the options, and the command would run without them.
  const taken = declared.find(
    ([, name]) => !NPM_OPTIONS.has(name) && process.env[`npm_config_${name.replaceAll('-', '_')}`],
  );
  if (taken) throw new UsageError(`Put -- before --${taken[1]}`);

  const options = declared.map(([, name, value]) => [name, { type: value ? 'string' : 'boolean' }]);
  const parsed = parseOrReject({
    args,
    options: { ...Object.fromEntries(options), help: { type: 'boolean' } },
    allowPositionals: names.length > 0,
  });
  const { values, positionals } = parsed;
  if (!values.help && positionals.length < names.length)
    throw new UsageError(`${names[positionals.length]} is missing`);
  if (positionals.length > names.length) throw new UsageError(`Unexpected argument '${positionals[names.length]}'`);
  return parsed;
}

function parseOrReject(config) {
  try {
    return parseArgs(config);
  } catch (error) {
    const [reason] = error.message.split(/\.\s/);
    throw new UsageError(reason, { cause: error });
  }
}

/**
 * Runs Node, whose output goes to this process's.
 *
 * @returns {boolean} whether it ended with 0
 */
export function runNode(args, env = {}) {
  const { status } = spawnSync(process.execPath, args, { stdio, env: { ...process.env, ...env } });
  return status === 0;
}

/** Returns the output of git. */
export function git(...args) {
  return gitIn('.', ...args);
}

export function gitIn(cwd, ...args) {
  return execFileSync('git', args, { cwd, encoding: 'utf8', maxBuffer: 2 ** 28 }).trim();
}

export function gitSucceeds(...args) {
  return spawnSync('git', args).status === 0;
}
