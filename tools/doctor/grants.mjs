import { read } from './check.mjs';

/** What DEPLOYMENT.md calls those who may do something, and that on which they may. */
const TITLES = {
  workflow: 'the workflow',
  deployer: 'SERVICE-deploy',
  runtime: 'SERVICE-runtime',
  migrator: 'SERVICE-migrate',
  builder: 'SERVICE-build',
  project: 'the project',
  cloud_sql: 'the project',
  repository: 'the registry',
  service: 'the service',
  job: 'the job',
  runtime_secret: 'SERVICE-database-url',
  migrator_secret: 'SERVICE-migrator-database-url',
  build_bucket: 'the bucket of sources',
  build_log_bucket: 'the bucket of logs',
};

/**
 * The lines of deploy/grants.txt, by which bootstrap.sh goes, too.
 * @returns {{ when: string, who: string, role: string, on: string, without: string }[]}
 */
export function readGrants() {
  return [...read('deploy/grants.txt').matchAll(/^([a-z-]+) +(\w+) +(roles\/\S+) +(\w+) +(.+)$/gm)].map(
    ([, when, who, role, on, without]) => ({ when, who, role, on, without }),
  );
}

/** A grant as a row of the table in DEPLOYMENT.md says it. */
export const sentence = ({ who, role, on }) => `${TITLES[who]} ${role.replace('roles/', '')} on ${TITLES[on]}`;

/** The rows of that table, in the same words. An empty first column is the account above. */
export function documentedGrants() {
  const section = /^## Who may do what\n([^]*?)\n## /m.exec(read('DEPLOYMENT.md'))?.[1] ?? '';
  let who = '';
  return [...section.matchAll(/^\| *([^|]*?) *\| *`([a-z]+\.[A-Za-z.]+)`[^|]*\| *([^|]+?) *\|/gm)].map(
    ([, account, role, on]) => {
      who = account || who;
      return `${who} ${role} on ${on}`;
    },
  );
}
