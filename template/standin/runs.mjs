// The gh commands of the pipeline: the newest commit, runs of CI, and attestations.
import { parseArgs } from 'node:util';

const string = { type: 'string' };
const done = (stdout = '') => ({ status: 0, stdout, stderr: '' });
const refuse = (message) => ({ status: 1, stdout: '', stderr: `${message}\n` });

const UNAVAILABLE = refuse('HTTP 503: Service Unavailable (https://api.github.com)');

/** Returns the result of a command of the pipeline; undefined for other commands. */
export function workflowCommands(state, words) {
  const command = words.join(' ');
  const [, name] = /^api repos\/(\S+)\/commits\/main --jq \.sha$/.exec(command) ?? [];
  if (name) return state.github[name].isDown ? UNAVAILABLE : done(`${state.github[name].head}\n`);
  if (command.startsWith('run list ')) return listRuns(state, words.slice(2));
  if (command.startsWith('attestation verify ')) return verify(state, words.slice(2));
  return undefined;
}

function listRuns(state, args) {
  const { values } = parseArgs({
    args,
    options: {
      ...{ repo: string, workflow: string, commit: string, branch: string, event: string, status: string },
      ...{ limit: string, json: string, jq: string },
    },
  });
  const { repo, workflow, commit, branch, event, status, jq } = values;
  if (state.github[repo].isDown) return UNAVAILABLE;
  if (jq !== '.[].url') return refuse(`The stand-in does not support --jq=${jq}.`);
  const runs = (state.github[repo].runs ?? []).filter(
    (run) =>
      run.workflow === workflow &&
      run.commit === commit &&
      run.branch === branch &&
      run.event === event &&
      run.conclusion === status,
  );
  return done(runs.map(({ url }) => `${url}\n`).join(''));
}

/** https://cli.github.com/manual/gh_attestation_verify */
function verify(state, args) {
  const { values, positionals } = parseArgs({
    args,
    options: {
      ...{ repo: string, 'source-digest': string, 'signer-workflow': string },
      'deny-self-hosted-runners': { type: 'boolean' },
    },
    allowPositionals: true,
  });
  const [, image, digest] = /^oci:\/\/(.+)@(sha256:[0-9a-f]{64})$/.exec(positionals[0]) ?? [];
  const found = (state.attestations ?? []).filter((one) => one.digest === digest && one.repository === values.repo);
  if (!image || found.length === 0)
    return refuse(`Error: no attestations found for subject ${digest}\nHTTP 404: Not Found`);
  const isValid = found.some(
    ({ commit, workflow }) => commit === values['source-digest'] && workflow === values['signer-workflow'],
  );
  return isValid ? done() : refuse('Error: verifying with issuer "sigstore.dev"\nX Verification failed');
}
