// Cloud SQL: instances, their databases and users.
import { Refusal } from '../refusal.mjs';

export const sql = {
  'sql instances create': {
    usage:
      'INSTANCE --region= --database-version= --tier= [--edition=] [--storage-size=] [--backup-start-time=] [--enable-point-in-time-recovery] [--ssl-mode=] [--deletion-protection] [--async]',
    changes: true,
    run({ project, args }) {
      if (project.orgPolicies['sql.restrictPublicIp'])
        throw new Refusal(
          'HTTPError 412: Organization Policy check failure: the external IP of this instance violates the constraints/sql.restrictPublicIp enforced at the project.',
        );
      if (project.instances[args.INSTANCE] || project.deletedInstances.includes(args.INSTANCE))
        throw new Refusal(
          'HTTPError 409: The Cloud SQL instance already exists. When you delete an instance, you cannot reuse the name of the deleted instance until one week from the deletion date.',
        );
      project.instances[args.INSTANCE] = {
        connectionName: `${project.id}:${args.region}:${args.INSTANCE}`,
        databaseVersion: args['database-version'],
        region: args.region,
        state: 'PENDING_CREATE',
        settings: {
          tier: args.tier,
          edition: args.edition,
          deletionProtectionEnabled: args['deletion-protection'],
          backupConfiguration: { pointInTimeRecoveryEnabled: args['enable-point-in-time-recovery'] },
          ipConfiguration: { sslMode: args['ssl-mode'] },
        },
        databases: [],
        users: { postgres: undefined },
        /** The instance is being created for this number of descriptions. */
        pending: 2,
      };
      return '';
    },
  },
  'sql instances describe': {
    usage: 'INSTANCE',
    run(context) {
      const instance = instanceOf(context);
      if (instance.pending > 0) instance.pending -= 1;
      else if (instance.state === 'PENDING_CREATE') instance.state = 'RUNNABLE';
      return { name: context.args.INSTANCE, ...instance };
    },
  },
  'sql instances patch': {
    usage: 'INSTANCE --no-deletion-protection',
    changes: true,
    run(context) {
      instanceOf(context).settings.deletionProtectionEnabled = false;
      return '';
    },
  },
  'sql instances delete': {
    usage: 'INSTANCE',
    changes: true,
    asks: true,
    run(context) {
      const { project, args } = context;
      if (instanceOf(context).settings.deletionProtectionEnabled)
        throw new Refusal(
          'HTTPError 400: The instance is protected. Please disable the deletion protection and try again.',
        );
      delete project.instances[args.INSTANCE];
      project.deletedInstances.push(args.INSTANCE);
      return '';
    },
  },
  'sql databases create': {
    usage: 'DATABASE --instance=',
    changes: true,
    run(context) {
      const { databases } = runningInstanceOf(context);
      if (databases.includes(context.args.DATABASE))
        throw new Refusal('HTTPError 400: Invalid request: database exists.');
      databases.push(context.args.DATABASE);
      return '';
    },
  },
  'sql databases describe': {
    usage: 'DATABASE --instance=',
    run(context) {
      if (!instanceOf(context).databases.includes(context.args.DATABASE)) throw new Refusal('HTTPError 404: Not Found');
      return { name: context.args.DATABASE };
    },
  },
  'sql users set-password': {
    usage: 'USERNAME --instance= --password=',
    changes: true,
    run(context) {
      const { args, environment } = context;
      if (environment.CLOUDSDK_CORE_DISABLE_FILE_LOGGING !== 'true')
        throw new Refusal('The stand-in accepts no password that gcloud would write to its log files.');
      const { users } = runningInstanceOf(context);
      if (!Object.hasOwn(users, args.USERNAME)) throw new Refusal('HTTPError 404: User does not exist.');
      users[args.USERNAME] = args.password;
      return '';
    },
  },
};

function instanceOf({ project, args }) {
  const instance = project.instances[args.INSTANCE ?? args.instance];
  if (!instance) throw new Refusal('HTTPError 404: The Cloud SQL instance does not exist.');
  return instance;
}

function runningInstanceOf(context) {
  const instance = instanceOf(context);
  if (instance.state === 'PENDING_CREATE')
    throw new Refusal('HTTPError 409: Operation failed because another operation was already in progress.');
  return instance;
}
