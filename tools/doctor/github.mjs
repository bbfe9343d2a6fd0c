// The repository on GitHub: settings of Actions and protection of main, read with gh.
import { execute, filesIn, ok, readCode, warn } from './check.mjs';

/** @returns {import('./check.mjs').Checks} for a repository OWNER/NAME */
export const github = (repo) => ({
  'github.actions': () => actions(repo),
  'github.protection': () => protection(repo),
});

/** @returns {Promise<{ value?: any, error?: string }>} */
async function api(path) {
  const { missing, succeeded, output, error } = await execute('gh', ['api', path]);
  if (missing) return { error: 'gh is not installed' };
  return succeeded ? { value: JSON.parse(output) } : { error };
}

/** https://docs.github.com/rest/actions/permissions */
async function actions(repo) {
  const page = `https://github.com/${repo}/settings/actions`;
  const path = `repos/${repo}/actions/permissions`;
  const { value, error } = await api(path);
  if (error)
    return warn(`cannot read the Actions settings: ${error}`, 'gh auth login, as an administrator of the repository');
  if (!value.enabled) return warn('Actions are disabled for the repository', `Enable them: ${page}`);
  if (value.allowed_actions === 'all') return ok('all actions are allowed');
  const { value: selected } = value.allowed_actions === 'selected' ? await api(`${path}/selected-actions`) : {};
  const rejected = usedActions().filter((name) => !isAllowed(name, selected));
  return rejected.length > 0
    ? warn(
        `the settings of the repository or its organization reject ${rejected.join(', ')}`,
        `Allow these actions: ${page}`,
      )
    : ok('the actions of the workflows are allowed');
}

/** The names of all actions of other repositories, such as actions/checkout. */
function usedActions() {
  const folders = filesIn('.github/actions').map((folder) => `${folder}/action.yml`);
  const text = [...filesIn('.github/workflows'), ...folders].map(readCode).join('\n');
  return [...new Set([...text.matchAll(/\buses: *['"]?([\w-]+\/[\w./-]+)@/g)].map(([, name]) => name))];
}

function isAllowed(name, selected) {
  if (!selected) return false;
  const isOfGitHub = /^(actions|github)\//.test(name);
  // Google is a verified creator on GitHub's marketplace.
  const isVerified = name.startsWith('google-github-actions/');
  return (
    (isOfGitHub && selected.github_owned_allowed) ||
    (isVerified && selected.verified_allowed) ||
    (selected.patterns_allowed ?? []).some((pattern) => name.startsWith(pattern.replace(/[*@].*$/, '')))
  );
}

/** https://docs.github.com/rest/repos/rules#get-rules-for-a-branch */
async function protection(repo) {
  const guide = 'docs/deployment/security.md, "Protect main"';
  const { value: rules = [], error } = await api(`repos/${repo}/rules/branches/main`);
  if (/Upgrade to/.test(error))
    return warn(
      'the plan has no branch protection for private repositories: every account with write access can deploy',
      guide,
    );
  const { value: branch } = await api(`repos/${repo}/branches/main`);
  if (!branch)
    return warn(`cannot read the branch main: ${error ?? 'it does not exist'}`, 'git push --set-upstream origin main');
  return branch.protected || rules.some(({ type }) => type === 'pull_request')
    ? ok('main is protected')
    : warn('main is not protected: every account with write access can change the workflows and deploy', guide);
}
