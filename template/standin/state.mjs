// The state of the stand-in: plain data that tests can read and change.

/** Google's sample images, which every region can pull. */
export const SAMPLES = 'us-docker.pkg.dev/cloudrun/container/';

export function newState() {
  return {
    /** The account of `gcloud auth login`, if any. */
    operator: 'me@example.com',
    /** The version of gcloud. */
    version: '578.0.0',
    /** The properties of `gcloud config`. */
    config: {},
    /** The repository of the current folder, for gh. */
    folderRepository: undefined,
    projects: {},
    /** The commit of each image, by digest. */
    images: {},
    /** Faults of the images, by commit (platform.mjs). */
    behaviours: {},
    /** Docker's images and configured registries, by home folder. */
    machines: {},
    /** IDs, variables, newest commit (head), runs, responses of other API paths and outage (isDown) of repositories, by OWNER/NAME. Undefined if gh is not signed in. */
    github: {},
    /** The attestations on GitHub: repository, commit, workflow and digest. */
    attestations: [],
    /** A counter for unique names and times, which makes test runs reproducible. */
    count: 0,
    /** New resources that have not propagated: IAM does not find them on first use. */
    young: [],
  };
}

export function addProject(state, id, { number, apis = [], billing = true } = {}) {
  state.projects[id] = {
    id,
    number,
    billing,
    apis: [...apis],
    policy: [{ role: 'roles/owner', members: [`user:${state.operator}`] }],
    accounts: {},
    buckets: {},
    builds: [],
    instances: {},
    deletedInstances: [],
    jobs: {},
    logs: [],
    /** Enforced organization policies, by constraint. */
    orgPolicies: {},
    pools: {},
    repositories: {},
    /** Resources of Cloud Monitoring, log-based metrics and saved queries, by collection and id (rest.mjs). */
    rest: {},
    schedules: {},
    secrets: {},
    services: {},
  };
  return state.projects[id];
}

export function projectOf(state, idOrNumber) {
  return state.projects[idOrNumber] ?? Object.values(state.projects).find(({ number }) => number === idOrNumber);
}

/** Adds the Cloud Logging entry of an output line or a request. */
export function log(state, project, entry) {
  state.count += 1;
  project.logs.push({ insertId: `entry-${state.count}`, timestamp: new Date().toISOString(), ...entry });
}

/** Returns a unique name, such as the suffix of an execution. */
export function unique(state) {
  state.count += 1;
  return state.count.toString(36).padStart(5, 'a');
}
