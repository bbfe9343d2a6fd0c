// A local Google Cloud: the state, and a server that handles the calls of client.sh and the requests to the services. It
// runs in the test's process and handles one call at a time.
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { docker } from './docker.mjs';
import { gcloud } from './gcloud.mjs';
import { gh } from './github.mjs';
import { rest } from './rest.mjs';
import { newState } from './state.mjs';
import { answer } from './traffic.mjs';

const PROGRAMS = { docker, gcloud, gh, sleep };

export async function startCloud() {
  const cloud = new Cloud();
  await new Promise((ready) => cloud.server.listen(0, '127.0.0.1', ready));
  return cloud;
}

export class Cloud {
  state = newState();
  /** All calls: program, words, environment, folder, caller, contents of the files, and the result. */
  calls = [];
  /**
   * `interrupt`: each changing gcloud command loses its connection once, after the change. `youth`, first or eternal: IAM
   * does not find a new resource on first use, or ever. `warns`: gcloud prints a warning on every call.
   * `checksPublicAccess`: Cloud Run requires setIamPolicy for every change of a public service.
   */
  faults = {};
  /** Called after each call, to simulate concurrent changes. */
  listeners = new Set();
  /** Called with the seconds of each `sleep`, which returns immediately. */
  meanwhile = () => {};
  server = createServer((request, response) => void this.#serve(request, response));
  #interrupted = new Set();

  get url() {
    return `http://127.0.0.1:${this.server.address().port}`;
  }

  /** The variables of scripts that call the stand-in: client.sh reads the first, deploy/observability.sh the others. */
  get environment() {
    const apis = ['CLOUDRESOURCEMANAGER', 'LOGGING', 'MONITORING'];
    const endpoints = apis.map((api) => [`CLOUDSDK_API_ENDPOINT_OVERRIDES_${api}`, `${this.url}/`]);
    return { STANDIN: this.url, ...Object.fromEntries(endpoints) };
  }

  serviceUrl(projectNumber, region, name, tag) {
    return `http://${tag ? `${tag}---` : ''}${name}-${projectNumber}.${region}.run.localhost:${this.server.address().port}`;
  }

  interrupts(words) {
    const call = words.join(' ');
    if (!this.faults.interrupt || this.#interrupted.has(call)) return false;
    this.#interrupted.add(call);
    return true;
  }

  /** The number of interrupted commands. */
  get interruptions() {
    return this.#interrupted.size;
  }

  makeYoung(name) {
    if (this.faults.youth) this.state.young.push(name);
  }

  isYoung(member) {
    const young = this.state.young.find((name) => member.includes(name));
    if (young && this.faults.youth !== 'eternal') this.state.young.splice(this.state.young.indexOf(young), 1);
    return Boolean(young);
  }

  async close() {
    this.server.closeAllConnections();
    await new Promise((closed) => this.server.close(closed));
    if (process.env.STANDIN_CALLS) {
      appendFileSync(process.env.STANDIN_CALLS, this.calls.map((call) => `${JSON.stringify(call)}\n`).join(''));
    }
  }

  async #serve(request, response) {
    const program = PROGRAMS[request.url.slice(1)];
    if (request.method === 'POST' && program && request.headers.host.startsWith('127.0.0.1')) {
      const form = new URLSearchParams(await text(request));
      response.end(shell(this.#call(program, form)));
      return;
    }
    if (request.headers.host.startsWith('127.0.0.1') && /^\/v[123]\/projects\//.test(request.url)) {
      const call = { words: [request.method, request.url.slice(1)], body: await text(request) };
      const answered = rest(this, { ...call, authorization: request.headers.authorization });
      this.calls.push({ program: 'rest', ...call, environment: {}, files: {}, ...answered });
      for (const listener of this.listeners) listener(this.calls.at(-1));
      response
        .writeHead(answered.status, { 'content-type': 'application/json' })
        .end(JSON.stringify(answered.result, null, 2));
      return;
    }
    const { status, body } = answer(this, { host: request.headers.host, path: request.url, headers: request.headers });
    response.writeHead(status, { 'content-type': body.startsWith('<') ? 'text/html' : 'application/json' }).end(body);
  }

  #call(program, form) {
    const environment = Object.fromEntries(
      form.getAll('environment').map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
    );
    const call = { words: form.getAll('word'), environment, cwd: form.get('cwd') };
    const files = filesOf(call);
    const answered = program(this, { ...call, stdin: form.get('stdin') });
    this.calls.push({ program: program.name, ...call, files, ...answered });
    for (const listener of this.listeners) listener(this.calls.at(-1));
    return answered;
  }
}

function sleep(cloud, { words: [seconds] }) {
  cloud.meanwhile(Number(seconds));
  return { status: 0, stdout: '', stderr: '' };
}

/** Reads the files named in the arguments before the script deletes them. Secrets are left out. */
function filesOf({ words, cwd }) {
  const names = words
    .map((word) => word.replace(/^--(config|policy|lifecycle-file)=/, ''))
    .filter((name) => /\.(ya?ml|json)$/.test(name));
  return Object.fromEntries(
    names
      .map((name) => [name, resolve(cwd, name)])
      .filter(([, path]) => existsSync(path))
      .map(([name, path]) => [name, readFileSync(path, 'utf8')]),
  );
}

/** Returns the script that client.sh runs. */
function shell({ status, stdout, stderr }) {
  const quote = (value) => `'${value.replaceAll("'", String.raw`'\''`)}'`;
  return `printf %s ${quote(stdout)}\nprintf %s ${quote(stderr)} >&2\nexit ${status}\n`;
}
