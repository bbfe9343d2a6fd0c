// The repository variables, by which the workflows know the project.
import { ask, read } from './check.mjs';

/** STAGING_ for staging, as deploy/pipeline/settings.sh reads them. */
export const prefixOf = ({ environment }) =>
  environment === 'production' ? '' : `${environment.toUpperCase().replaceAll('-', '_')}_`;

/**
 * @returns {Promise<{ values?: Record<string, string>, problem?: { detail: string, fix: string } }>} by name, in all
 * environments
 */
export async function askVariables({ repo }) {
  const args = ['variable', 'list', '--json', 'name,value', ...(repo ? ['--repo', repo] : [])];
  const { missing, succeeded, output, error } = await ask('gh', args, {
    env: { GH_NO_UPDATE_NOTIFIER: '1', GH_PROMPT_DISABLED: '1' },
  });
  if (missing) return { problem: { detail: 'gh is not installed', fix: 'Install it: https://cli.github.com' } };
  if (!succeeded) return { problem: { detail: error, fix: 'gh auth login' } };
  return { values: Object.fromEntries(JSON.parse(output).map(({ name, value }) => [name, value])) };
}

/** Those that deploy/pipeline/settings.sh would miss. */
export function missingVariables(values, options) {
  const [, needed = ''] = /^needed='([^']+)'/m.exec(read('deploy/pipeline/settings.sh')) ?? [];
  return needed
    .split(' ')
    .map((name) => prefixOf(options) + name)
    .filter((name) => !values[name]);
}
