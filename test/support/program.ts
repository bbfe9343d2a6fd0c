// Imports no other TypeScript file, so that test/browser and test/fuzz can run it with Node without a build.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { requiredEnv } from './required-env.mjs';

const START_TIMEOUT_MS = 30_000;

export type LogLine = { severity: string; message: string; time: string } & Record<string, unknown>;

/** A process that runs a program of dist/. */
export interface Program {
  /** The address of main.js; empty for the other programs, and if main.js exited before it listened. */
  url: string;
  pid: number;
  /** The log so far. */
  lines: LogLine[];
  /** Reads the log. `pause()` lets standard output fill up. */
  reader: Interface;
  /** Resolves with the exit code. */
  ended: Promise<number | null>;
  /** Sends the signal and returns `ended`. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** Starts dist/`script` with only the given environment. Waits until main.js listens. */
export async function startProgram(env: NodeJS.ProcessEnv, script = 'main.js'): Promise<Program> {
  const child = spawn(process.execPath, [`dist/${script}`], {
    env: { ...requiredEnv, NODE_ENV: 'production', PORT: '0', HOST: '127.0.0.1', RATE_LIMIT_PER_MINUTE: '0', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: LogLine[] = [];
  const reader = createInterface({ input: child.stdout });
  const listening = new Promise<string>((resolve) => {
    reader.on('line', (text) => {
      const line = JSON.parse(text) as LogLine;
      lines.push(line);
      if (line.message.startsWith('Listening on ')) resolve(line.message.replace('Listening on ', ''));
    });
  });
  const ended = once(child, 'close').then(([code]) => code as number | null);
  const timer = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS);
  const url = script === 'main.js' ? await Promise.race([listening, ended.then(() => '')]) : '';
  clearTimeout(timer);
  return {
    url,
    pid: child.pid ?? 0,
    lines,
    reader,
    ended,
    stop(signal = 'SIGTERM') {
      child.kill(signal);
      return ended;
    },
  };
}
