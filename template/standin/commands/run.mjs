// Cloud Run: services, their revisions and traffic, jobs and their executions.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { OTHERS } from '../commands.mjs';
import { ask } from '../permissions.mjs';
import { checkImage, execute, imageRepository, isOpen, prepare, start } from '../platform.mjs';
import { Refusal } from '../refusal.mjs';
import { log, unique } from '../state.mjs';

const OPEN = 'run.googleapis.com/invoker-iam-disabled';
const ACCESS = '[--invoker-iam-check] [--no-invoker-iam-check] [--allow-unauthenticated] [--no-allow-unauthenticated]';

export const run = {
  'run deploy': {
    usage: `SERVICE --region= --image= [--service-account=] [--max-instances=] ${ACCESS}`,
    changes: true,
    on: ({ state, find, args }) => containers(state, find, args.image, args['service-account']),
    run(context) {
      const { args, find, say, state } = context;
      checkImage(state, args.image);
      const service = find('service', `${args.region}/${args.SERVICE}`).object ?? addService(context, args.SERVICE);
      setAccess(service, args);
      const revision = `${args.SERVICE}-${unique(state)}-abc`;
      const spec = { serviceAccountName: args['service-account'], containers: [{ image: args.image }] };
      release(context, service, args.SERVICE, { metadata: { name: revision }, spec }, [
        { revisionName: revision, percent: 100 },
      ]);
      say(`Service [${args.SERVICE}] revision [${revision}] has been deployed and is serving 100 percent of traffic.`);
      return '';
    },
  },
  'run services describe': {
    usage: 'SERVICE --region=',
    run: (context) => describe(context, serviceOf(context), context.args.SERVICE),
  },
  'run services delete': {
    usage: 'SERVICE --region=',
    changes: true,
    asks: true,
    run(context) {
      serviceOf(context);
      delete context.project.services[`${context.args.region}/${context.args.SERVICE}`];
      return '';
    },
  },
  'run services update': {
    usage: `SERVICE --region= ${ACCESS}`,
    changes: true,
    run(context) {
      setAccess(serviceOf(context), context.args);
      return '';
    },
  },
  'run services replace': {
    usage: 'FILE --region= [--dry-run]',
    changes: true,
    on(context) {
      const { metadata, spec } = manifestOf(context, 'Service');
      return {
        service: context.find('service', `${context.args.region}/${metadata.name}`),
        ...containers(
          context.state,
          context.find,
          spec.template.spec.containers[0].image,
          spec.template.spec.serviceAccountName,
        ),
      };
    },
    run(context) {
      const { args, caller, find, say } = context;
      const { metadata, spec } = manifestOf(context, 'Service');
      args.SERVICE = metadata.name;
      const service = serviceOf(context);
      checkRevision(service, metadata.name, spec);
      checkImage(context.state, spec.template.spec.containers[0].image);
      const annotations = metadata.annotations ?? {};
      checkAccess(context, service, annotations);
      if (args['dry-run']) {
        say(`New configuration has been validated for service [${metadata.name}].`);
        return '';
      }
      // Replaces the service: fields and tags that are missing from the manifest return to their defaults.
      service.annotations = annotations;
      service.labels = metadata.labels ?? {};
      say(
        `Applying new configuration to Cloud Run service [${metadata.name}] in project [${context.project.id}] region [${args.region}]`,
      );
      const wait = () => ask(caller, OTHERS['waiting for a service'], { project: find('project') });
      release(
        context,
        service,
        metadata.name,
        spec.template,
        spec.traffic ?? [{ latestRevision: true, percent: 100 }],
        wait,
      );
      say(`New configuration has been applied to service [${metadata.name}].\nURL: ${urlOf(context, metadata.name)}`);
      return '';
    },
  },
  'run services update-traffic': {
    usage: 'SERVICE --region= [--to-revisions=] [--async] [--clear-tags] [--set-tags=]',
    changes: true,
    on: ({ find, args }) => ({
      'runtime account': find(
        'account',
        find('service', `${args.region}/${args.SERVICE}`).object?.template.spec.serviceAccountName,
      ),
    }),
    run(context) {
      const { args, caller, find, say } = context;
      const service = serviceOf(context);
      checkAccess(context, service, service.annotations);
      const shares = args['to-revisions']
        ? args['to-revisions'].split(',').map((share) => share.split('='))
        : service.traffic
            .filter(({ percent }) => percent > 0)
            .map(({ revisionName, percent }) => [revisionName, percent]);
      const total = shares.reduce((sum, [, percent]) => sum + Number(percent), 0);
      if (total > 100) throw new Refusal('Over 100% of traffic is specified.');
      if (total < 100)
        throw new Refusal(
          'The stand-in does not spread what is left of the traffic over other revisions: name all 100 %.',
        );
      for (const [name] of shares) {
        if (!service.revisions[name])
          throw new Refusal(`Revision '${name}' not found: the revision must be one of the service.`);
      }
      const tags = tagsAfter(service, args);
      service.generation += 1;
      service.traffic = [
        ...shares.map(([revisionName, percent]) => ({ revisionName, percent: Number(percent) })),
        ...tags.map(({ revisionName, tag }) => ({ revisionName, tag })),
      ];
      // A tagged revision without traffic also blocks the change.
      const unready = service.traffic.find(({ revisionName }) => !service.revisions[revisionName].ready);
      if (!unready) service.statusTraffic = service.traffic;
      if (args.async) {
        say('Updating traffic asynchronously.');
        return '';
      }
      ask(caller, OTHERS['waiting for a service'], { project: find('project') });
      // gcloud also fails if only the newest revision is not ready.
      if (unready || !Object.values(service.revisions).at(-1).ready) throw notReady(service);
      say('Updating traffic...\nDone.');
      return '';
    },
  },
  'run revisions describe': {
    usage: 'REVISION --region=',
    on: (context) => ({ service: context.find('service', `${context.args.region}/${ownerOf(context)?.[0]}`) }),
    run(context) {
      const { args } = context;
      const [name, service] = ownerOf(context) ?? [];
      if (!name) throw new Refusal(`Cannot find revision [${args.REVISION}].`);
      return describeRevision(service.revisions[args.REVISION], args.REVISION, name);
    },
  },
  'run revisions list': {
    usage: '--service= --region=',
    isList: true,
    run: (context) =>
      Object.entries(serviceOf(context).revisions)
        .toReversed()
        .map(([name, revision]) => describeRevision(revision, name, context.args.service)),
  },

  'run jobs create': {
    usage:
      'JOB --region= --image= [--service-account=] [--max-retries=] [--set-cloudsql-instances=] [--set-secrets=] [--command=] [--args=]',
    changes: true,
    on: ({ state, find, args }) => containers(state, find, args.image, args['service-account']),
    run({ project, args, state }) {
      checkImage(state, args.image);
      const key = `${args.region}/${args.JOB}`;
      if (project.jobs[key]) throw new Refusal(`Job [${args.JOB}] already exists.`);
      const spec = {
        serviceAccountName: args['service-account'],
        containers: [{ image: args.image, command: args.command, args: args.args }],
        volumes: volumesOf(args['set-secrets']),
      };
      const annotations = { 'run.googleapis.com/cloudsql-instances': args['set-cloudsql-instances'] };
      const reason = prepare(state, project, { spec }, () => {});
      if (reason) throw new Refusal(reason);
      project.jobs[key] = {
        policy: [],
        executions: {},
        template: { metadata: { annotations }, spec: { template: { spec } } },
      };
      return '';
    },
  },
  'run jobs describe': {
    usage: 'JOB --region=',
    run: (context) => ({
      metadata: { name: context.args.JOB, labels: jobOf(context).labels, annotations: jobOf(context).annotations },
      spec: { template: jobOf(context).template },
      status: { executionCount: Object.keys(jobOf(context).executions).length },
    }),
  },
  'run jobs delete': {
    usage: 'JOB --region=',
    changes: true,
    asks: true,
    run(context) {
      jobOf(context);
      delete context.project.jobs[`${context.args.region}/${context.args.JOB}`];
      return '';
    },
  },
  'run jobs replace': {
    usage: 'FILE --region=',
    changes: true,
    on(context) {
      const { metadata, spec } = manifestOf(context, 'Job');
      const task = spec.template.spec.template.spec;
      return {
        job: context.find('job', `${context.args.region}/${metadata.name}`),
        ...containers(context.state, context.find, task.containers[0].image, task.serviceAccountName),
      };
    },
    run(context) {
      const { metadata, spec } = manifestOf(context, 'Job');
      context.args.JOB = metadata.name;
      const job = jobOf(context);
      const task = spec.template.spec.template.spec;
      checkImage(context.state, task.containers[0].image);
      job.template = spec.template;
      job.labels = metadata.labels ?? {};
      job.annotations = metadata.annotations ?? {};
      context.say(
        `Applying new configuration to Cloud Run job [${metadata.name}] in project [${context.project.id}] region [${context.args.region}]`,
      );
      // Secrets are checked when the job is created, the rest when it runs.
      const reason = prepare(context.state, context.project, { spec: task }, () => {});
      if (reason?.includes('secret')) throw new Refusal(`Job '${metadata.name}' is not ready. ${reason}`);
      return '';
    },
  },
  'run jobs execute': {
    usage: 'JOB --region= [--wait]',
    changes: true,
    run(context) {
      const { args, project, say, state } = context;
      const job = jobOf(context);
      const { execution, succeeded } = executeJob(state, project, job, args.JOB, args.region);
      const hint = `View details about this execution by running:\ngcloud run jobs executions describe ${execution}\n\nOr visit https://console.cloud.google.com/run/jobs/executions/details/${args.region}/${execution}/tasks?project=${project.number}`;
      say('Creating execution...');
      if (args.wait && !succeeded) throw new Refusal(`The execution failed.\n${hint}`);
      say(`Execution [${execution}] has successfully ${args.wait ? 'completed' : 'started running'}.\n\n${hint}`);
      return '';
    },
  },
  'run jobs executions list': {
    usage: '--job= --region=',
    isList: true,
    run: (context) =>
      Object.entries(jobOf(context).executions)
        .toReversed()
        .map(([name, { succeeded }]) => ({
          metadata: { name },
          status: { conditions: [{ type: 'Completed', status: COMPLETED.get(succeeded) }] },
        })),
  },
};

export function executeJob(state, project, job, name, location) {
  const execution = `${name}-${unique(state)}`;
  const succeeded = execute(state, project, job, name, { location, execution });
  job.executions[execution] = { succeeded, image: job.template.spec.template.spec.containers[0].image };
  return { execution, succeeded };
}

/** Returns the mounted secrets of PATH=SECRET:VERSION. */
function volumesOf(secrets = '') {
  return secrets
    .split(',')
    .filter(Boolean)
    .map((mount) => {
      const [, path, name, key] = /^(\/[^=]+)=([^:]+):(.+)$/.exec(mount);
      return { path, secret: { name, key } };
    });
}

/** The status of the Completed condition, keyed by success: Unknown while the execution runs. */
const COMPLETED = new Map([
  [true, 'True'],
  [false, 'False'],
  [undefined, 'Unknown'],
]);

/** Returns the resources on which the caller needs permission to use the account and to read the image. */
function containers(state, find, image, account) {
  return { 'runtime account': account && find('account', account), image: imageRepository(state, image) };
}

function manifestOf({ args, cwd }, kind) {
  const manifest = parseYaml(readFileSync(resolve(cwd, args.FILE), 'utf8'), { merge: true });
  if (manifest.kind !== kind) throw new Refusal(`The manifest is a ${manifest.kind} and no ${kind}.`);
  return manifest;
}

function serviceOf({ args, project }) {
  const name = args.SERVICE ?? args.service;
  const service = project.services[`${args.region}/${name}`];
  if (!service) throw new Refusal(`Cannot find service [${name}]`);
  return service;
}

function jobOf({ args, project }) {
  const name = args.JOB ?? args.job;
  const job = project.jobs[`${args.region}/${name}`];
  if (!job) throw new Refusal(`Cannot find job [${name}].`);
  return job;
}

/** Returns the name and the service of the revision. */
function ownerOf({ args, project }) {
  const [key, service] =
    Object.entries(project?.services ?? {}).find(
      ([name, { revisions }]) => name.startsWith(`${args.region}/`) && revisions[args.REVISION],
    ) ?? [];
  return key && [key.split('/')[1], service];
}

function addService({ args, project }, name) {
  const service = { policy: [], annotations: {}, generation: 0, revisions: {}, traffic: [], statusTraffic: [] };
  project.services[`${args.region}/${name}`] = service;
  return service;
}

/**
 * Public access requires setIamPolicy. Whether an unchanged setting does, too, is not documented: with the fault
 * `checksPublicAccess` it does.
 */
function checkAccess({ caller, cloud, find, args }, service, annotations) {
  if (!isOpen(annotations) || (isOpen(service.annotations) && !cloud.faults.checksPublicAccess)) return;
  ask(caller, OTHERS['opening a service to everybody'], { service: find('service', `${args.region}/${args.SERVICE}`) });
}

/** Returns the traffic tags after an update: --set-tags replaces all of them. */
function tagsAfter(service, { 'clear-tags': isCleared, 'set-tags': given }) {
  if (isCleared) return [];
  if (!given) return service.traffic.filter(({ tag }) => tag);
  return given.split(',').map((pair) => {
    const [tag, revisionName] = pair.split('=');
    if (!service.revisions[revisionName]) throw new Refusal(`Revision '${revisionName}' not found.`);
    return { revisionName, tag };
  });
}

function setAccess(service, args) {
  // Python's format.
  if (args['no-invoker-iam-check']) service.annotations[OPEN] = 'True';
  if (args['invoker-iam-check']) service.annotations[OPEN] = 'False';
}

/** Validates a manifest like the API. https://docs.cloud.google.com/run/docs/reference/rest/v1/namespaces.services */
function checkRevision(service, name, { template, traffic = [] }) {
  const revision = template.metadata.name;
  if (!revision.startsWith(`${name}-`))
    throw new Refusal(
      `spec.template.metadata.name: Invalid value: must be prefixed with the enclosing Service name and '-'`,
    );
  if (revision.length > 63) throw new Refusal('spec.template.metadata.name: must be no more than 63 characters');
  if (service.revisions[revision])
    throw new Refusal(`ALREADY_EXISTS: Revision named '${revision}' with different configuration already exists.`);
  const total = traffic.reduce((sum, { percent = 0 }) => sum + percent, 0);
  if (total !== 100) throw new Refusal(`spec.traffic: Invalid value: Traffic targets sum to ${total}, want 100`);
  for (const { revisionName, tag } of traffic) {
    if (revisionName && revisionName !== revision && !service.revisions[revisionName])
      throw new Refusal(`spec.traffic: Revision '${revisionName}' not found.`);
    if (tag && (tag.length < 3 || tag.length + name.length > 46))
      throw new Refusal(
        `spec.traffic: Invalid value: The tag ${tag} has too few or, with the service's name, too many characters.`,
      );
  }
}

/** Creates the revision. Traffic moves only if the revision is ready. */
function release({ args, project, state }, service, name, template, traffic, wait = () => {}) {
  const revision = template.metadata.name;
  const labels = { service_name: name, revision_name: revision, location: args.region, project_id: project.id };
  const message = start(state, project, template, (line) =>
    log(state, project, {
      logName: `projects/${project.id}/logs/run.googleapis.com%2Fstderr`,
      resource: { type: 'cloud_run_revision', labels },
      ...line,
    }),
  );
  service.template = template;
  service.generation += 1;
  service.traffic = traffic.map(({ latestRevision, ...target }) =>
    latestRevision ? { ...target, revisionName: revision } : target,
  );
  service.revisions[revision] = { template, ready: !message, message };
  if (!message) service.statusTraffic = service.traffic;
  wait();
  if (message) throw notReady(service);
}

function notReady(service) {
  const [name, { message }] = Object.entries(service.revisions).at(-1);
  return new Refusal(`Revision '${name}' is not ready and cannot serve traffic. ${message}`);
}

const urlOf = ({ args, cloud, project }, name, tag) => cloud.serviceUrl(project.number, args.region, name, tag);

/** The annotations that Google or gcloud writes. */
function managedAnnotations(context, name) {
  return {
    'run.googleapis.com/client-name': 'gcloud',
    'run.googleapis.com/client-version': '578.0.0',
    'run.googleapis.com/ingress-status': 'all',
    'run.googleapis.com/operation-id': '0b1f7f6e',
    'run.googleapis.com/urls': JSON.stringify([urlOf(context, name)]),
    'serving.knative.dev/creator': 'me@example.com',
    'serving.knative.dev/lastModifier': 'me@example.com',
  };
}

function describe(context, service, name) {
  const names = Object.keys(service.revisions);
  const isReady = service.revisions[names.at(-1)]?.ready;
  return {
    apiVersion: 'serving.knative.dev/v1',
    kind: 'Service',
    metadata: {
      name,
      namespace: context.project.number,
      generation: service.generation,
      labels: { 'cloud.googleapis.com/location': context.args.region, ...service.labels },
      annotations: {
        'run.googleapis.com/ingress': 'all',
        ...service.annotations,
        ...managedAnnotations(context, name),
      },
    },
    spec: { template: service.template, traffic: service.traffic },
    status: {
      observedGeneration: service.observedGeneration ?? service.generation,
      conditions: [
        { type: 'Ready', status: isReady ? 'True' : 'False', message: service.revisions[names.at(-1)]?.message },
      ],
      latestCreatedRevisionName: names.at(-1),
      latestReadyRevisionName: names.findLast((revision) => service.revisions[revision].ready),
      traffic: service.statusTraffic.map((target) => ({
        ...target,
        ...(target.tag && { url: urlOf(context, name, target.tag) }),
      })),
      url: urlOf(context, name),
    },
  };
}

function describeRevision({ template, ready, message }, name, service) {
  return {
    metadata: {
      ...template.metadata,
      name,
      labels: { ...template.metadata.labels, 'serving.knative.dev/service': service },
    },
    spec: template.spec,
    status: { conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', message }] },
  };
}
