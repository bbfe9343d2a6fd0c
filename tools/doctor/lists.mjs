// The lists in deploy/ that the scripts read, too, and the repository variables.
import { basename } from 'node:path';
import { execute, filesIn, read } from './check.mjs';

/** Splits each row of a list into columns; the last one may contain spaces. */
function readList(file, columns) {
  const rows = read(`deploy/${file}`).match(/^[^#\s].*$/gm) ?? [];
  return rows.map((row) => {
    const words = row.split(/ +/);
    const cells = [...words.slice(0, columns.length - 1), words.slice(columns.length - 1).join(' ')];
    return Object.fromEntries(columns.map((column, index) => [column, cells[index]]));
  });
}

export const readApis = () => readList('apis.txt', ['option', 'api', 'caller']);
export const readGrants = () => readList('grants.txt', ['option', 'principal', 'role', 'resource', 'failure']);
export const readVariableNames = () => readList('variables.txt', ['option', 'name', 'value']);
export const readMaxConnections = () => readList('max-connections.txt', ['tier', 'connections']);

/**
 * Returns the settings of the service by name, as in deploy/lib/gcloud.sh: a line of the environment takes precedence.
 *
 * @returns {Map<string, { name: string, kind: 'plain' | 'secret', value: string }>}
 */
export function readSettings(environment) {
  const rows = readList('settings.txt', ['name', 'environment', 'kind', 'value']);
  const chosen = ['all', environment].flatMap((wanted) => rows.filter((row) => row.environment === wanted));
  return new Map(chosen.map((row) => [row.name, row]));
}

/** Returns production, and the environments that the settings name. */
export const readEnvironments = () => {
  const rows = readList('settings.txt', ['name', 'environment', 'kind']);
  return [...new Set(['production', ...rows.map(({ environment }) => environment)])].filter((name) => name !== 'all');
};

/**
 * Returns the schedules of the environment, as in deploy/lib/gcloud.sh.
 *
 * @returns {{ job: string, zone: string, schedule: string }[]}
 */
export const readSchedules = (environment) =>
  readList('schedules.txt', ['job', 'environment', 'zone', 'schedule']).filter((row) =>
    ['all', environment].includes(row.environment),
  );

/** The names of the jobs that `nest generate job` wrote. */
export const readJobs = () => filesIn('deploy/jobs').map((file) => basename(file, '.yaml'));

/** The options of the Workload Identity Federation provider, by name. */
export const readProviderOptions = () =>
  Object.fromEntries(
    readList('wif-provider.txt', ['option']).map(({ option }) => option.split(/^--([^=]+)=/).slice(1)),
  );

/** STAGING_ for staging, as in deploy/pipeline/export-variables.sh. */
export const prefixOf = ({ environment }) => (environment === 'production' ? '' : `${environment.toUpperCase()}_`);

/**
 * Reads the repository variables of all environments with gh.
 *
 * @returns {Promise<{ values?: Record<string, string>, problem?: { detail: string, fix: string } }>}
 */
export async function readVariables({ repo }) {
  const args = ['variable', 'list', '--json', 'name,value', ...(repo ? ['--repo', repo] : [])];
  const env = { GH_NO_UPDATE_NOTIFIER: '1', GH_PROMPT_DISABLED: '1' };
  const { missing, succeeded, output, error } = await execute('gh', args, { env });
  if (missing) return { problem: { detail: 'gh is not installed', fix: 'Install it: https://cli.github.com' } };
  if (!succeeded) return { problem: { detail: error, fix: 'gh auth login' } };
  return { values: Object.fromEntries(JSON.parse(output).map(({ name, value }) => [name, value])) };
}
