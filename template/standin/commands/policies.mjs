// The IAM policies of a project, an account, a repository, a service, a job, a secret and a bucket.
import { isServiceAccount } from '../permissions.mjs';
import { Refusal } from '../refusal.mjs';
import { ROLES } from '../roles.mjs';
import { projectOf } from '../state.mjs';

const GROUPS = [
  ['artifacts repositories', 'repository', 'REPOSITORY --location='],
  ['iam service-accounts', 'account', 'SERVICE_ACCOUNT'],
  ['projects', 'project', 'PROJECT_ID'],
  ['run jobs', 'job', 'JOB --region='],
  ['run services', 'service', 'SERVICE --region='],
  ['secrets', 'secret', 'SECRET'],
  ['storage buckets', 'bucket', 'BUCKET'],
];

export const policies = Object.fromEntries(
  GROUPS.flatMap(([group, kind, usage]) => {
    const on = kind === 'bucket' ? bucketOf : undefined;
    return [
      [
        `${group} add-iam-policy-binding`,
        { usage: `${usage} --member= --role= [--condition=]`, changes: true, on, run: (context) => add(context, kind) },
      ],
      [
        `${group} remove-iam-policy-binding`,
        {
          usage: `${usage} --member= --role= [--condition=] [--all]`,
          changes: true,
          on,
          run: (context) => remove(context, kind),
        },
      ],
      [`${group} get-iam-policy`, { usage, isList: true, on, run: (context) => show(policyOf(context, kind)) }],
    ];
  }),
);

/** Bucket names are globally unique, so these commands need no --project. */
function bucketOf({ state, find, args }) {
  const name = args.BUCKET.replace('gs://', '');
  const owner = Object.values(state.projects).find(({ buckets }) => buckets[name]);
  const bucket = find('bucket', name);
  return { bucket: { ...bucket, project: owner, object: owner?.buckets[name] } };
}

function policyOf(context, kind) {
  const { find, args, state } = context;
  const names = {
    account: args.SERVICE_ACCOUNT,
    job: `${args.region}/${args.JOB}`,
    repository: `${args.location}/${args.REPOSITORY}`,
    secret: args.SECRET,
    service: `${args.region}/${args.SERVICE}`,
  };
  const { object } = kind === 'bucket' ? bucketOf({ state, find, args }).bucket : find(kind, names[kind]);
  if (!object)
    throw new Refusal(
      kind === 'bucket' ? `${args.BUCKET} not found: 404.` : 'NOT_FOUND: Requested entity was not found.',
    );
  return object.policy;
}

function add(context, kind) {
  const { args, cloud } = context;
  const policy = policyOf(context, kind);
  if (!ROLES[args.role]) throw new Refusal(`INVALID_ARGUMENT: Role ${args.role} is not supported for this resource.`);
  checkMember(args.member, context);
  if (cloud.isYoung(args.member)) throw unknownMember(args.member);
  const condition = conditionOf(args, policy);
  const binding = bindingOf(policy, args.role, condition);
  if (!binding) policy.push({ role: args.role, members: [args.member], ...(condition && { condition }) });
  else if (!binding.members.includes(args.member)) binding.members.push(args.member);
  return show(policy);
}

function remove(context, kind) {
  const { args } = context;
  const policy = policyOf(context, kind);
  const condition = args.all ? undefined : conditionOf(args, policy);
  const bindings = policy.filter(
    (binding) =>
      binding.role === args.role &&
      binding.members.includes(args.member) &&
      (args.all || JSON.stringify(binding.condition) === JSON.stringify(condition)),
  );
  if (bindings.length === 0)
    throw new Refusal(`Policy bindings with the specified member, role${args.all ? '' : ', and condition'} not found!`);
  for (const binding of bindings) {
    binding.members = binding.members.filter((member) => member !== args.member);
    if (binding.members.length === 0) policy.splice(policy.indexOf(binding), 1);
  }
  return show(policy);
}

const bindingOf = (policy, role, condition) =>
  policy.find((binding) => binding.role === role && JSON.stringify(binding.condition) === JSON.stringify(condition));

/** None, or expression=…,title=… */
function conditionOf({ condition }, policy) {
  if (condition === undefined && policy.some((binding) => binding.condition)) {
    throw new Refusal(
      'Adding a binding without specifying a condition to a policy containing conditions is prohibited in non-interactive mode. Run the command again with `--condition=None`',
    );
  }
  if (condition === undefined || condition === 'None') return undefined;
  const [, expression, title] = /^expression=(.+),title=(.+)$/.exec(condition) ?? [];
  if (!expression) throw new Refusal(`Invalid value for [--condition]: ${condition}`, 2);
  return { expression, title };
}

function checkMember(member, { state }) {
  const email = /^serviceAccount:(.+)$/.exec(member)?.[1];
  if (email && isServiceAccount(email)) {
    const owner = Object.values(state.projects).find(({ accounts }) => accounts[email]);
    if (!owner) throw unknownMember(member);
  }
  const [, number, pool] =
    /^principalSet:\/\/iam\.googleapis\.com\/projects\/(\d+)\/locations\/global\/workloadIdentityPools\/([^/]+)\//.exec(
      member,
    ) ?? [];
  if (member.startsWith('principalSet:') && !projectOf(state, number)?.pools[pool]) throw unknownMember(member);
}

function unknownMember(member) {
  if (!member.startsWith('principalSet:'))
    return new Refusal(`INVALID_ARGUMENT: Service account ${member.split(':')[1]} does not exist.`);
  const pool = member.replace('principalSet://iam.googleapis.com/', '').replace(/\/attribute\..*/, '');
  return new Refusal(
    `INVALID_ARGUMENT: Identity Pool does not exist (${pool}). Please check that you specified a valid resource name as returned in the \`name\` attribute in the configuration API.`,
  );
}

const show = (policy) => ({
  bindings: policy.map(({ condition, members, role }) => ({
    ...(condition && { condition }),
    members: [...members],
    role,
  })),
  etag: 'BwY',
  version: 3,
});
