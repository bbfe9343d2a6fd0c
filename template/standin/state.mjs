// The world: what exists. Plain data, which tests may read and change as they like.

/** Those of Google's that every region can read. */
export const SAMPLES = 'us-docker.pkg.dev/cloudrun/container/';

export function newState() {
  return {
    /** Whoever has signed in by hand, or nobody. */
    operator: 'me@example.com',
    projects: {},
    /** By digest: the commit that an image was built from. */
    images: {},
    /** By commit: what such an image does that it should not (platform.mjs). */
    behaviours: {},
    /** By home folder: what docker on that machine has built, and which registries it can sign in to. */
    machines: {},
    /** By OWNER/NAME: the numbers and variables of repositories; nothing when gh is not signed in. */
    github: {},
    /** Makes names and times unique, and each run of the tests like the one before. */
    count: 0,
    /** What IAM does not know everywhere yet: it is unknown when it is first mentioned. */
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
    jobs: {},
    logs: [],
    pools: {},
    repositories: {},
    secrets: {},
    services: {},
  };
  return state.projects[id];
}

export function projectOf(state, idOrNumber) {
  return state.projects[idOrNumber] ?? Object.values(state.projects).find(({ number }) => number === idOrNumber);
}

/** Adds what one line of a program's output, or a request, leaves in Cloud Logging. */
export function log(state, project, entry) {
  state.count += 1;
  project.logs.push({ insertId: `entry-${state.count}`, timestamp: new Date().toISOString(), ...entry });
}

/** A name that no other thing has, such as the end of an execution's. */
export function unique(state) {
  state.count += 1;
  return state.count.toString(36).padStart(5, 'a');
}
