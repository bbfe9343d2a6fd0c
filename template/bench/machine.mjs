// What the machine allows: one core for the service alone, and clean caches. Linux has the tools, other systems do without.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

const isLinux = process.platform === 'linux';
/** Before this process leaves one of them. */
export const cores = availableParallelism();

/** Whether services have a core of their own. */
export const isPinned = isLinux && cores >= 2 && spawnSync('taskset', ['--version']).status === 0;

/** The command that runs Node on the services' core. */
export const pinnedNode = isPinned ? ['taskset', '--cpu-list', '0', process.execPath] : [process.execPath];

/** Keeps this process, and what it will start, away from the services' core. */
export function leaveServicesCore() {
  if (isPinned) {
    execFileSync('taskset', ['--all-tasks', '--pid', '--cpu-list', `1-${cores - 1}`, String(process.pid)]);
  }
}

/** Whether something else takes more than a tenth of the machine, in a second's look. */
export async function isBusy() {
  const before = cpus();
  await sleep(1000);
  const total = (list, names) => list.flatMap(({ times }) => names.map((name) => times[name])).reduce((a, b) => a + b);
  const all = Object.keys(before[0].times);
  const after = cpus();
  const idle = total(after, ['idle']) - total(before, ['idle']);
  return idle / (total(after, all) - total(before, all)) < 0.9;
}

export const canDropCaches = isLinux && process.getuid() === 0;

/** Files that no process has mapped must be read from the disk again. Node itself stays, because this process is one. */
export function dropCaches() {
  execFileSync('sync');
  writeFileSync('/proc/sys/vm/drop_caches', '3');
}

/** The CPU time that a process has used, in seconds; undefined where the system does not tell. */
export function cpuSeconds(pid) {
  if (!isLinux) return undefined;
  // utime and stime, counted after the name, which may have spaces: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** The CPU time that everything on the services' core has used, in seconds; undefined where they have none of their own. */
export function coreSeconds() {
  if (!isPinned) return undefined;
  // https://man7.org/linux/man-pages/man5/proc_stat.5.html
  const [, user, nice, system] = /^cpu0 (\d+) (\d+) (\d+)/m.exec(readFileSync('/proc/stat', 'utf8'));
  return (Number(user) + Number(nice) + Number(system)) / 100;
}

/** The memory that a process has, in megabytes; undefined where there is no ps. */
export function megabytes(pid) {
  const { stdout } = spawnSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' });
  return stdout ? Number(stdout) / 1024 : undefined;
}
