// Controls the CPU affinity and the page cache, on Linux only. Other systems run without both.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

const isLinux = process.platform === 'linux';
/** Number of cores. Read before this process is pinned, which reduces the number. */
export const cores = availableParallelism();

/** Whether services run on a dedicated core. */
export const isPinned = isLinux && cores >= 2 && spawnSync('taskset', ['--version']).status === 0;

/** Returns the command that runs Node on the core of the services. */
export const pinnedNode = isPinned ? ['taskset', '--cpu-list', '0', process.execPath] : [process.execPath];

/** Pins this process and its future children to the other cores. */
export function leaveServicesCore() {
  if (isPinned) {
    execFileSync('taskset', ['--all-tasks', '--pid', '--cpu-list', `1-${cores - 1}`, String(process.pid)]);
  }
}

/** Returns whether other processes use more than a tenth of the CPU, measured for one second. */
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

/** Drops the page cache. Files that a process maps remain cached, such as Node's own binary. */
export function dropCaches() {
  execFileSync('sync');
  writeFileSync('/proc/sys/vm/drop_caches', '3');
}

/** Whether the scheduler accounts the CPU time of each thread. */
export const hasCpuTimes = existsSync('/proc/self/schedstat');

/**
 * Returns the CPU time of a process in seconds, or undefined without {@link hasCpuTimes}. The file of a process counts only
 * its main thread, so the times of all threads are added: https://docs.kernel.org/scheduler/sched-stats.html
 */
export function cpuSeconds(pid) {
  if (!hasCpuTimes) return undefined;
  const threads = readdirSync(`/proc/${pid}/task`);
  const nanoseconds = threads.map(
    (thread) => readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0],
  );
  return nanoseconds.reduce((sum, each) => sum + Number(each), 0) / 1e9;
}

/** Returns the CPU time of all processes on the services' core in seconds, or undefined without a dedicated core. */
export function coreSeconds() {
  if (!isPinned) return undefined;
  // https://man7.org/linux/man-pages/man5/proc_stat.5.html
  const [, user, nice, system] = /^cpu0 (\d+) (\d+) (\d+)/m.exec(readFileSync('/proc/stat', 'utf8'));
  return (Number(user) + Number(nice) + Number(system)) / 100;
}

/** Returns the resident memory of a process in megabytes, on Linux only. */
export function megabytes(pid) {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(kilobytes) / 1024;
}
