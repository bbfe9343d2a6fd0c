// Cloud Build: uploads the sources, runs the steps as the account of the build, and streams their log.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { OTHERS } from '../commands.mjs';
import { build, push } from '../docker.mjs';
import { ask, authorize } from '../permissions.mjs';
import { Refusal } from '../refusal.mjs';
import { unique } from '../state.mjs';

export const builds = {
  'builds submit': {
    usage:
      'SOURCE --config= --region= --service-account= --gcs-source-staging-dir= [--gcs-log-dir=] [--substitutions=]',
    changes: true,
    on({ args, find }) {
      const bucket = args['gcs-source-staging-dir'].split('/')[2];
      return {
        'source bucket': find('bucket', bucket),
        account: find('account', args['service-account'].split('/').at(-1)),
      };
    },
    /** gcloud prints the same message for every failure to access the bucket. */
    authorize(caller, permission, on) {
      try {
        authorize(caller, permission, on);
      } catch (error) {
        if (!(error instanceof Refusal) || !['serviceusage.services.use', 'storage.buckets.get'].includes(permission))
          throw error;
        throw new Refusal(
          `The user is forbidden from accessing the bucket [${on.name ?? `${on.projectId}_cloudbuild`}]. Please check your organization's policy or if the user has the "serviceusage.services.use" permission. Giving the user Owner, Editor, or Viewer roles may also fix this issue. Alternatively, use the --no-source option and access your source code via a different method.`,
        );
      }
    },
    run: submit,
  },
};

function submit(context) {
  const { args, caller, cwd, find, project, state } = context;
  const config = parseYaml(substitute(readFileSync(resolve(cwd, args.config), 'utf8'), args.substitutions));
  const account = args['service-account'].split('/').at(-1);
  const source = find('bucket', args['gcs-source-staging-dir'].split('/')[2]);
  if (!args['gcs-log-dir'] && !['CLOUD_LOGGING_ONLY', 'NONE'].includes(config.options?.logging)) {
    throw new Refusal(
      `INVALID_ARGUMENT: if 'build.service_account' is specified, the build must either (a) specify 'build.logs_bucket', (b) use the REGIONAL_USER_OWNED_BUCKET build.options.default_logs_bucket_behavior option, or (c) use either CLOUD_LOGGING_ONLY / NONE logging options`,
    );
  }
  if (!args['gcs-log-dir']) {
    throw new Refusal(
      '\nThe build is running, and logs are being written to the default logs bucket.\nThis tool can only stream logs if you are Viewer/Owner of the project and, if applicable, allowed by your VPC-SC security policy.\n\nThe default logs bucket is always outside any VPC-SC security perimeter.',
    );
  }
  const logs = find('bucket', args['gcs-log-dir'].split('/')[2]);
  try {
    ask(account, OTHERS['a build'], { 'source bucket': source });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new Refusal(`INVALID_ARGUMENT: could not resolve source: googleapi: Error 403: ${error.message}, forbidden`);
  }
  const id = `build-${unique(state)}`;
  const { log, failure } = runSteps(context, config, account, logs);
  project.builds.push({ id, status: failure ? 'FAILURE' : 'SUCCESS' });
  ask(caller, OTHERS['the log of a build'], { 'log bucket': logs });
  context.say(
    `Created [https://cloudbuild.googleapis.com/v1/projects/${project.id}/locations/${args.region}/builds/${id}].`,
  );
  if (failure)
    throw Object.assign(new Refusal(`build ${id} completed with status "FAILURE"`), {
      stdout: `${log}ERROR\n${failure}\n`,
    });
  return `${log}PUSH\nDONE\n`;
}

function substitute(text, substitutions = '') {
  return substitutions.split(',').reduce((config, pair) => {
    const [name, ...value] = pair.split('=');
    if (!config.includes(`\${${name}}`))
      throw new Refusal(`INVALID_ARGUMENT: key "${name}" in the substitution data is not matched in the template`);
    return config.replaceAll(`\${${name}}`, value.join('='));
  }, text);
}

/** Runs the steps and pushes `images`. Returns the log and the error. */
function runSteps({ args, cwd, state }, { steps, images = [] }, account, logs) {
  let log = 'starting build\n';
  try {
    ask(account, OTHERS['a build'], { 'log bucket': logs });
    const machine = { images: {} };
    for (const { name, args: words, env = [] } of steps) {
      if (name !== 'gcr.io/cloud-builders/docker' || words[0] !== 'build')
        throw new Refusal(`The stand-in does not run ${name} ${words[0]}.`);
      const option = (flag) => words[words.indexOf(`--${flag}`) + 1];
      const options = { file: option('file'), tag: option('tag'), 'build-arg': option('build-arg') };
      log += build(state, machine, options, resolve(cwd, args.SOURCE), env.includes('DOCKER_BUILDKIT=1'));
    }
    for (const image of images) log += push(state, machine, image, account);
    return { log };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { log, failure: error.message };
  }
}
