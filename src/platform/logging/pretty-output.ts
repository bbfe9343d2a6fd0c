import type { DestinationStream } from 'pino';

const LABELS: Record<string, string> = { WARNING: 'WARN', CRITICAL: 'FATAL' };

/** The fields of a line that a reader sees. */
interface Line {
  message: string;
  context?: string;
  pointers?: string[];
  durationMs?: number;
  requestId?: string;
  stack_trace?: string;
}

/**
 * Writes readable lines for a terminal: level, message, invalid fields, duration and request id; errors with their stack.
 * @param destination a file descriptor or a stream
 */
export async function prettyOutput(destination: number | NodeJS.WritableStream = 1): Promise<DestinationStream> {
  const { default: pretty } = await import('pino-pretty'); // a development dependency, absent in production
  return pretty({
    destination,
    sync: true,
    singleLine: true,
    messageKey: 'message',
    levelKey: 'severity',
    timestampKey: 'time',
    errorLikeObjectKeys: [],
    ignore:
      'commit,context,requestId,method,path,route,status,durationMs,dbMs,dbQueries,poolWaitMs,code,pointers,stack_trace,spanId',
    customPrettifiers: { level: (severity) => LABELS[severity as string] ?? (severity as string) },
    messageFormat: (log, _messageKey, _levelLabel, { colors }) => {
      const { message, context, pointers = [], durationMs, requestId, stack_trace: stack } = log as unknown as Line;
      const details = [...pointers, durationMs !== undefined && `${durationMs} ms`, requestId].filter(Boolean);
      const suffix = details.length > 0 ? colors.gray(`  ${details.join('  ')}`) : '';
      // A stack begins with the message of its error.
      return `${context ? `[${context}] ` : ''}${stack ?? message}${suffix}`;
    },
  });
}
