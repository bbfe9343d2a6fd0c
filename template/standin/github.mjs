// The gh commands that the scripts use: IDs and variables of a repository, and in runs.mjs those of a workflow.
import { workflowCommands } from './runs.mjs';

export function gh({ state }, { words }) {
  const { folderRepository } = state;
  const refuse = (message, status = 1) => ({ status, stdout: '', stderr: `${message}\n` });
  const answered = workflowCommands(state, words);
  if (answered) return answered;
  if (!state.github) return refuse('To get started with GitHub CLI, please run:  gh auth login', 4);
  const [command, name, ...rest] = words;
  if (words.join(' ') === 'repo view --json nameWithOwner --jq .nameWithOwner') {
    return folderRepository
      ? { status: 0, stdout: `${folderRepository}\n`, stderr: '' }
      : refuse('no git remotes found');
  }
  const [, ofApi, path] = (command === 'api' && /^repos\/([^/]+\/[^/]+)\/(.+)$/.exec(name)) || [];
  if (path) {
    const { responses = {} } = state.github[ofApi] ?? {};
    return responses[path]
      ? { status: 0, stdout: JSON.stringify(responses[path]), stderr: '' }
      : refuse('gh: Not Found (HTTP 404)');
  }
  const repositoryName = command === 'api' ? /^repos\/(.+)$/.exec(name)?.[1] : rest[rest.indexOf('--repo') + 1];
  const repository = state.github[repositoryName];
  if (!repository) return refuse(`gh: Not Found (HTTP 404)`);
  const done = (stdout = '') => ({ status: 0, stdout, stderr: '' });
  switch (`${command} ${command === 'api' ? rest.join(' ') : name}`) {
    case String.raw`api --jq "\(.id) \(.owner.id)"`:
      return done(`${repository.id} ${repository.ownerId}\n`);
    case 'variable list':
      if (!repository.isAdministered) return refuse('HTTP 403: Resource not accessible by integration');
      if (rest.includes('--json')) {
        const variables = Object.entries(repository.variables);
        return done(JSON.stringify(variables.map(([key, value]) => ({ name: key, value }))));
      }
      return done(
        Object.entries(repository.variables)
          .map(([key, value]) => `${key}\t${value}\n`)
          .join(''),
      );
    case 'variable set':
      repository.variables[rest[0]] = rest[rest.indexOf('--body') + 1];
      return done();
    default:
      return refuse(`unknown command ${words.join(' ')} for "gh", or the stand-in does not support it`);
  }
}
