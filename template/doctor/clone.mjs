// A fresh clone for the doctor's tests: committed, on main, without dependencies. Tests of one file share it, and undo what
// they change.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { runScript } from '../standin/workbench.mjs';

const EXCLUDED = ['.git', '.data', 'node_modules', 'build', 'dist', 'coverage', '.env', 'template', 'test'];

export class Clone {
  root = mkdtempSync(join(tmpdir(), 'doctor-'));
  home = join(this.root, 'home');
  /** A PATH with git and nothing else: no npm, gh or gcloud. */
  bin = join(this.root, 'bin');
  folder = join(this.root, 'clone');
  #undo = [];

  constructor() {
    for (const folder of [this.home, this.bin]) mkdirSync(folder);
    symlinkSync(spawnSync('which', ['git'], { encoding: 'utf8' }).stdout.trim(), join(this.bin, 'git'));
    const excluded = new Set(EXCLUDED.map((name) => resolve(name)));
    cpSync('.', this.folder, { recursive: true, filter: (source) => !excluded.has(resolve(source)) });
    this.git('init', '--quiet', '--initial-branch=main');
    this.commitAll();
  }

  remove() {
    rmSync(this.root, { recursive: true });
  }

  /** Reverts what a test has changed, in reverse order. */
  reset() {
    for (const undo of this.#undo.splice(0).toReversed()) undo();
  }

  /** Registers what `reset` does. */
  onReset(undo) {
    this.#undo.push(undo);
  }

  git(...args) {
    const { status, stderr } = spawnSync('git', args, { cwd: this.folder, encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
  }

  commitAll() {
    this.git('add', '--all');
    this.git('-c', 'user.name=t', '-c', 'user.email=t@example.com', 'commit', '--quiet', '--no-verify', '-m', 'all');
  }

  /** Links the dependencies and the build of this repository. */
  install() {
    for (const name of ['node_modules', 'build']) {
      symlinkSync(resolve(name), join(this.folder, name));
      this.onReset(() => rmSync(join(this.folder, name)));
    }
  }

  edit(file, from, to) {
    const path = join(this.folder, file);
    const text = readFileSync(path, 'utf8');
    if (!text.includes(from)) throw new Error(`${file} does not contain ${from}`);
    const changed = text.replace(from, () => to);
    writeFileSync(path, changed);
    this.onReset(() => writeFileSync(path, text));
  }

  add(file, text = '') {
    const path = join(this.folder, file);
    writeFileSync(path, text);
    this.onReset(() => rmSync(path));
  }

  /** Runs the doctor. Its PORT is 0, because another program may use the service's port. */
  doctor(args = [], env = {}) {
    return runScript(process.execPath, ['tools/doctor/doctor.mjs', ...args], {
      cwd: this.folder,
      env: { PATH: this.bin, HOME: this.home, PORT: '0', ...env },
      timeout: 15_000,
    });
  }

  async examine(env) {
    const { status, stdout, stderr } = await this.doctor(['--json'], env);
    assert.equal(stderr, '');
    const { checks } = JSON.parse(stdout);
    const withStatus = (wanted) => checks.filter((check) => check.status === wanted).map(({ id }) => id);
    return { status, checks, withStatus, find: (id) => checks.find((check) => check.id === id) };
  }
}

/** Compares status, detail and fix with the expected ones, which are strings or regular expressions. */
export function assertFinding(finding, expected) {
  for (const [key, value] of Object.entries(expected)) {
    if (value instanceof RegExp) assert.match(finding[key], value);
    else assert.equal(finding[key], value);
  }
}
