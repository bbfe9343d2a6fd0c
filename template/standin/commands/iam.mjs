// Service accounts, and the workload identity pools and providers of GitHub's workflows.
import { Refusal } from '../refusal.mjs';

const POOL = 'POOL --location=';
const PROVIDER = 'PROVIDER --workload-identity-pool= --location=';
const TRUST = '[--issuer-uri=] [--attribute-mapping=] [--attribute-condition=] [--display-name=] [--description=]';

export const iam = {
  'iam service-accounts create': {
    usage: 'NAME [--display-name=] [--description=]',
    changes: true,
    run({ cloud, project, args, say }) {
      const email = `${args.NAME}@${project.id}.iam.gserviceaccount.com`;
      if (!/^[a-z][a-z0-9-]{4,28}[a-z0-9]$/.test(args.NAME))
        throw new Refusal('INVALID_ARGUMENT: The account ID must be between 6 and 30 characters.');
      if (project.accounts[email])
        throw new Refusal(
          `ALREADY_EXISTS: Resource in projects [${project.id}] is the subject of a conflict: Service account ${args.NAME} already exists within project projects/${project.id}.`,
        );
      project.accounts[email] = { displayName: args['display-name'], description: args.description, policy: [] };
      cloud.makeYoung(email);
      say(`Created service account [${args.NAME}].`);
      return '';
    },
  },
  'iam service-accounts describe': {
    usage: 'SERVICE_ACCOUNT',
    run(context) {
      const { displayName, description, disabled } = accountOf(context);
      return { email: context.args.SERVICE_ACCOUNT, displayName, description, disabled };
    },
  },
  'iam service-accounts update': {
    usage: 'SERVICE_ACCOUNT --description=',
    changes: true,
    run: (context) => describeAs(accountOf(context), context.args),
  },
  'iam service-accounts delete': {
    usage: 'SERVICE_ACCOUNT',
    changes: true,
    asks: true,
    run(context) {
      const { state, project, args } = context;
      accountOf(context);
      delete project.accounts[args.SERVICE_ACCOUNT];
      forget(state, `serviceAccount:${args.SERVICE_ACCOUNT}`);
      return '';
    },
  },
  'iam service-accounts keys list': {
    usage: '--iam-account= [--managed-by=]',
    isList: true,
    run({ project, args, find }) {
      const account = project.accounts[args['iam-account']];
      if (!account)
        throw new Refusal(
          `NOT_FOUND: Service account ${find('account', args['iam-account']).fullName} does not exist.`,
        );
      // The stand-in has no Google-managed keys, so --managed-by has no effect.
      return (account.keys ?? []).map((id) => ({
        name: `projects/${project.id}/serviceAccounts/${args['iam-account']}/keys/${id}`,
      }));
    },
  },

  'iam workload-identity-pools create': {
    usage: `${POOL} [--display-name=] [--description=]`,
    changes: true,
    run({ cloud, project, args }) {
      // The name of a deleted pool is reserved for 30 days.
      if (project.pools[args.POOL]) throw new Refusal('ALREADY_EXISTS: Requested entity already exists');
      project.pools[args.POOL] = { state: 'ACTIVE', description: args.description, providers: {} };
      cloud.makeYoung(`/workloadIdentityPools/${args.POOL}/`);
      return '';
    },
  },
  'iam workload-identity-pools describe': {
    usage: POOL,
    run(context) {
      const { state, description, disabled } = poolOf(context);
      return { name: context.args.POOL, state, description, disabled };
    },
  },
  'iam workload-identity-pools update': {
    usage: `${POOL} --description=`,
    changes: true,
    run: (context) => describeAs(poolOf(context), context.args),
  },
  'iam workload-identity-pools delete': {
    usage: POOL,
    changes: true,
    asks: true,
    run: (context) => setState(poolOf(context), 'DELETED'),
  },
  'iam workload-identity-pools undelete': {
    usage: POOL,
    changes: true,
    run: (context) => setState(poolOf(context), 'ACTIVE'),
  },

  'iam workload-identity-pools providers create-oidc': {
    usage: `${PROVIDER} ${TRUST}`,
    changes: true,
    run(context) {
      const { providers } = poolOf(context);
      const { args } = context;
      if (providers[args.PROVIDER]) throw new Refusal('ALREADY_EXISTS: Requested entity already exists');
      providers[args.PROVIDER] = { state: 'ACTIVE', oidc: { issuerUri: args['issuer-uri'] } };
      trust(providers[args.PROVIDER], args);
      return '';
    },
  },
  'iam workload-identity-pools providers describe': { usage: PROVIDER, run: (context) => providerOf(context) },
  'iam workload-identity-pools providers undelete': {
    usage: PROVIDER,
    changes: true,
    run: (context) => setState(providerOf(context), 'ACTIVE'),
  },
  'iam workload-identity-pools providers update-oidc': {
    usage: `${PROVIDER} ${TRUST}`,
    changes: true,
    run(context) {
      trust(providerOf(context), context.args);
      return '';
    },
  },
};

function accountOf({ project, args }) {
  const account = project.accounts[args.SERVICE_ACCOUNT];
  if (!account) throw new Refusal('NOT_FOUND: Unknown service account');
  return account;
}

function poolOf({ project, args }) {
  if (args.location !== 'global') throw new Refusal('INVALID_ARGUMENT: Request contains an invalid argument.');
  const pool = project.pools[args.POOL ?? args['workload-identity-pool']];
  if (!pool) throw new Refusal('NOT_FOUND: Requested entity was not found.');
  return pool;
}

function providerOf(context) {
  const provider = poolOf(context).providers[context.args.PROVIDER];
  if (!provider) throw new Refusal('NOT_FOUND: Requested entity was not found.');
  return provider;
}

function setState(thing, state) {
  thing.state = state;
  return '';
}

function describeAs(thing, { description }) {
  thing.description = description;
  return '';
}

function trust(provider, args) {
  if (args.description) provider.description = args.description;
  if (args['attribute-condition']) provider.attributeCondition = args['attribute-condition'];
  if (args['attribute-mapping']) {
    provider.attributeMapping = Object.fromEntries(
      args['attribute-mapping']
        .split(',')
        .map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
    );
  }
}

/** Renames the member in the policies: the grants of a deleted account remain under another name. */
function forget(state, member) {
  for (const project of Object.values(state.projects)) {
    const owners = ['accounts', 'buckets', 'jobs', 'repositories', 'secrets', 'services'].flatMap((collection) =>
      Object.values(project[collection]),
    );
    for (const { policy } of [project, ...owners]) {
      for (const binding of policy)
        binding.members = binding.members.map((other) => (other === member ? `deleted:${member}?uid=1` : other));
    }
  }
}
