// `npm run doctor -- --terraform`: import blocks for the resources and grants of deploy/bootstrap.sh, so that Terraform can
// manage them. docs/deployment/terraform.md has the table, with placeholders.
// https://developer.hashicorp.com/terraform/language/import
import { readApis, readGrants } from './lists.mjs';
import { defaultNames, Project } from './project.mjs';

/**
 * Returns the Terraform address and the import id of every resource and grant.
 *
 * @param {import('./project.mjs').Project} project
 * @returns {{ address: string, id: string, option: string }[]} option: of deploy/bootstrap.sh, or always
 */
export function terraformResources(project) {
  const { names } = project;
  const inProject = `projects/${names.project}`;
  const inRegion = `${inProject}/locations/${names.region}`;
  const pool = `${inProject}/locations/global/workloadIdentityPools/${names.pool}`;
  const account = (name) => ['service_account', `${inProject}/serviceAccounts/${names[name]}`];
  const bucket = (name) => ['storage_bucket', names[name], `b/${names[name]}`];
  const secrets = project.secrets.map((name) => [
    name,
    'always',
    ['secret_manager_secret', `${inProject}/secrets/${names[name]}`],
  ]);
  /** Name, option, and the Terraform type, import id and, for grants, another id. */
  const resources = [
    ['repository', 'always', ['artifact_registry_repository', `${inRegion}/repositories/${names.repository}`]],
    ['deployer', 'always', account('deployer')],
    ['runtime', 'always', account('runtime')],
    ['migrator', 'always', account('migrator')],
    ['scheduler', 'jobs', account('scheduler')],
    ['pool', 'always', ['iam_workload_identity_pool', pool]],
    ['provider', 'always', ['iam_workload_identity_pool_provider', `${pool}/providers/${names.provider}`]],
    ...secrets,
    ['service', 'always', ['cloud_run_v2_service', `${inRegion}/services/${names.service}`]],
    ['job', 'always', ['cloud_run_v2_job', `${inRegion}/jobs/${names.job}`]],
    ...project.jobs.map((name) => [name, 'jobs', ['cloud_run_v2_job', `${inRegion}/jobs/${names[name]}`]]),
    ...project.schedules.map(({ job }) => [
      `${job}_schedule`,
      'jobs',
      ['cloud_scheduler_job', `${inRegion}/jobs/${names.service}-${job}`],
    ]),
    ['cloud_sql', '--cloud-sql', ['sql_database_instance', `${inProject}/instances/${names.cloud_sql}`]],
    ['builder', '--with-cloud-build', account('builder')],
    ['build_bucket', '--with-cloud-build', bucket('build_bucket')],
    ['build_log_bucket', '--with-cloud-build', bucket('build_log_bucket')],
  ];
  const onProject = ['project', names.project];
  const targets = new Map(resources.map(([name, , target]) => [name, target]));
  targets.set('project', onProject).set('cloud_sql', onProject);

  const apis = readApis().map(({ option, api }) => ({
    address: `google_project_service.${api}`,
    id: `${names.project}/${api}.googleapis.com`,
    option,
  }));
  const grants = project.listedGrants.map(({ option, principal, role, resource }) => {
    const [type, id, grantId = id] = targets.get(resource);
    const title = resource === 'cloud_sql' ? ` ${names.cloud_sql}` : '';
    return {
      address: `google_${type}_iam_member.${identifier(principal, role.replace('roles/', ''), resource)}`,
      id: `${grantId} ${role} ${project.memberOf(principal)}${title}`,
      option,
    };
  });
  const own = resources.map(([name, option, [type, id]]) => ({
    address: `google_${type}.${identifier(name)}`,
    id,
    option,
  }));
  return [...apis, ...own, ...grants];
}

/** Returns a name that Terraform accepts, such as deployer_run_viewer_on_project. */
function identifier(...words) {
  const [principal, role, resource] = words.map((word) => word.replaceAll(/\W/g, '_'));
  return role ? `${principal}_${role}_on_${resource}` : principal;
}

/** Returns the import blocks of the resources that the project has. */
export const importBlocks = (project) =>
  terraformResources(project)
    .filter(({ option }) => project.chosen[option])
    .map(({ address, id }) => `import {\n  to = ${address}\n  id = ${JSON.stringify(id)}\n}\n`)
    .join('\n');

/** Returns the table of docs/deployment/terraform.md: every resource and grant, with placeholders for names. */
export function terraformTable() {
  const project = new Project({ environment: 'production' });
  const names = { ...defaultNames('PROJECT', 'REGION', 'SERVICE', 'NUMBER'), project: 'PROJECT', region: 'REGION' };
  Object.assign(names, { service: 'SERVICE', pool: 'SERVICE-github', provider: 'github', cloud_sql: 'INSTANCE' });
  Object.assign(names, { own_secrets: 'SERVICE-NAME', own_jobs: 'SERVICE-JOB' });
  const secrets = ['runtime_secret', 'migrator_secret', 'own_secrets'];
  const own = { jobs: ['own_jobs'], schedules: [{ job: 'JOB' }] };
  Object.assign(project, {
    names,
    secrets,
    ...own,
    number: 'NUMBER',
    trustedId: 'REPOSITORY_ID',
    listedGrants: readGrants(),
  });
  const rows = terraformResources(project).map(
    ({ address, id, option }) => `| ${option} | \`${address}\` | \`${id}\` |`,
  );
  return ['| option | address | import id |', '| --- | --- | --- |', ...rows].join('\n');
}
