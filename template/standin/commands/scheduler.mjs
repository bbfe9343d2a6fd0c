// Cloud Scheduler: schedules that start a Cloud Run job as an account.
import { OTHERS } from '../commands.mjs';
import { ask } from '../permissions.mjs';
import { Refusal } from '../refusal.mjs';
import { resource } from '../resources.mjs';
import { executeJob } from './run.mjs';

const HTTP =
  'JOB --location= [--schedule=] [--time-zone=] [--uri=] [--http-method=] [--oauth-service-account-email=] [--description=]';
const account = ({ find, args }) => ({ 'runtime account': find('account', args['oauth-service-account-email']) });

export const scheduler = {
  'scheduler jobs create http': {
    usage: HTTP.replace('[--schedule=]', '--schedule=').replace('[--uri=]', '--uri='),
    changes: true,
    on: account,
    run({ project, args }) {
      const key = `${args.location}/${args.JOB}`;
      if (project.schedules[key]) throw new Refusal(`ALREADY_EXISTS: Job [${args.JOB}] already exists.`);
      project.schedules[key] = { policy: [] };
      return set(project.schedules[key], args);
    },
  },
  'scheduler jobs update http': {
    usage: HTTP,
    changes: true,
    on: account,
    run: (context) => set(scheduleOf(context), context.args),
  },
  'scheduler jobs describe': {
    usage: 'JOB --location=',
    run(context) {
      const { policy: _, ...schedule } = scheduleOf(context);
      return { name: context.args.JOB, ...schedule };
    },
  },
  'scheduler jobs delete': {
    usage: 'JOB --location=',
    changes: true,
    asks: true,
    run(context) {
      scheduleOf(context);
      delete context.project.schedules[`${context.args.location}/${context.args.JOB}`];
      return '';
    },
  },
  'scheduler jobs run': {
    usage: 'JOB --location=',
    changes: true,
    run(context) {
      const { project, state } = context;
      const schedule = scheduleOf(context);
      const { uri, oauthToken } = schedule.httpTarget;
      const [, region, name] = /\/v2\/projects\/[^/]+\/locations\/([^/]+)\/jobs\/([^/]+):run$/.exec(uri) ?? [];
      const job = resource(state, 'job', project.id, `${region}/${name}`);
      schedule.status = {};
      try {
        ask(oauthToken.serviceAccountEmail, OTHERS['an execution by Cloud Scheduler'], { job });
        executeJob(state, project, job.object, name, region);
      } catch (error) {
        // The command ends before the call. Its outcome is in the status of the schedule.
        if (!(error instanceof Refusal)) throw error;
        schedule.status = { code: 7 };
      }
      return '';
    },
  },
};

function set(schedule, args) {
  const { schedule: time, 'time-zone': timeZone = 'Etc/UTC', description } = args;
  const oauthToken = { serviceAccountEmail: args['oauth-service-account-email'] };
  Object.assign(schedule, { description, schedule: time, timeZone, state: 'ENABLED' });
  schedule.httpTarget = { uri: args.uri, httpMethod: args['http-method']?.toUpperCase(), oauthToken };
  return '';
}

function scheduleOf({ args, project }) {
  const schedule = project.schedules[`${args.location}/${args.JOB}`];
  if (!schedule) throw new Refusal('NOT_FOUND: Job not found.');
  return schedule;
}
