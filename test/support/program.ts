import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { until } from './until.js';

export type LogLine = { severity: string; message: string; time: string } & Record<string, unknown>;

/** The built program in a process of its own. */
export interface Program {
  url: string;
  pid: number;
  /** What it has logged so far. */
  lines: LogLine[];
  /** Sends the signal and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<{ code: number | null; ms: number }>;
  /** The exit code, once it has ended. */
  ended: Promise<number | null>;
}

/** Starts dist/`script` with nothing but the given environment; `main.js` is waited for until it listens. */
export async function startProgram(env: NodeJS.ProcessEnv, script = 'main.js'): Promise<Program> {
  const child = spawn(process.execPath, [`dist/${script}`], {
    env: { NODE_ENV: 'production', PORT: '0', HOST: '127.0.0.1', RATE_LIMIT_PER_MINUTE: '0', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: LogLine[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)));
  const ended = once(child, 'close').then(([code]) => code as number | null);
  const program: Program = {
    url: '',
    pid: child.pid ?? 0,
    lines,
    ended,
    async stop(signal = 'SIGTERM') {
      const startedAt = performance.now();
      child.kill(signal);
      return { code: await ended, ms: performance.now() - startedAt };
    },
  };
  if (script === 'main.js') {
    const listening = () => lines.find(({ message }) => message.startsWith('Listening on '));
    try {
      await until(() => Boolean(listening()) || child.exitCode !== null, 30_000);
    } catch (cause) {
      child.kill('SIGKILL'); // or Jest would wait for it
      throw new Error(`dist/main.js does not listen: ${JSON.stringify(lines.at(-1))}`, { cause });
    }
    program.url = listening()?.message.replace('Listening on ', '') ?? '';
  }
  return program;
}
