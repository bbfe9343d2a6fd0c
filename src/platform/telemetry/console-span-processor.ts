import { SpanKind, type Span } from '@opentelemetry/api';
import type { ReadableSpan, SpanProcessor } from '@opentelemetry/sdk-trace';

/** Upper bound on memory: spans whose parent has ended before are never printed. */
const MAX_PARENTS = 1_000;
const MAX_WIDTH = 160;
/** The columns of a SELECT, which hide its table and condition. */
const COLUMNS = /^(SELECT) .{40,}? (FROM (?!\w+ ?\())/;

/** Prints each request as a tree with its SQL statements and their time, for development. */
export class ConsoleSpanProcessor implements SpanProcessor {
  private readonly children = new Map<string | undefined, ReadableSpan[]>();

  onStart(): void {}

  onEnd(span: ReadableSpan): void {
    if (span.kind === SpanKind.SERVER) {
      process.stdout.write(`${[describeRequest(span), ...this.linesBelow(span, '')].join('\n')}\n`);
      return;
    }
    const parent = span.parentSpanContext?.spanId;
    const siblings = this.children.get(parent) ?? [];
    siblings.push(span);
    this.children.set(parent, siblings);
    if (this.children.size > MAX_PARENTS) this.children.delete(this.children.keys().next().value);
  }

  private linesBelow(span: ReadableSpan & Pick<Span, 'spanContext'>, indent: string): string[] {
    const { spanId } = span.spanContext();
    const children = this.children.get(spanId) ?? [];
    this.children.delete(spanId);
    const lines: string[] = [];
    for (const [index, child] of children.toSorted(byStart).entries()) {
      const [branch, nextIndent] = index === children.length - 1 ? ['└─ ', '   '] : ['├─ ', '│  '];
      lines.push(`${indent}${branch}${describeChild(child)}`.slice(0, MAX_WIDTH));
      lines.push(...this.linesBelow(child, indent + nextIndent));
    }
    return lines;
  }

  forceFlush = () => Promise.resolve();
  shutdown = () => Promise.resolve();
}

function describeRequest({ name, attributes, duration }: ReadableSpan): string {
  const status = (attributes['http.response.status_code'] ?? 'aborted') as number | string;
  return `${name} ${status} ${milliseconds(duration)}`;
}

function describeChild({ name, attributes, duration }: ReadableSpan): string {
  const wait = Number(attributes['db.client.connection.wait_time'] ?? 0) * 1_000;
  const notes = [wait >= 1 && `waited ${wait.toFixed(1)} ms for a connection`, attributes['error.type']].filter(
    Boolean,
  );
  const note = notes.length > 0 ? ` (${notes.join(', ')})` : '';
  const text = (attributes['db.query.text'] ?? name) as string;
  return `${milliseconds(duration)}${note}  ${text.replace(COLUMNS, '$1 … $2')}`;
}

const milliseconds = ([seconds, nanoseconds]: ReadableSpan['duration']) =>
  `${(seconds * 1e3 + nanoseconds / 1e6).toFixed(1)} ms`;

const byStart = (a: ReadableSpan, b: ReadableSpan) =>
  a.startTime[0] - b.startTime[0] || a.startTime[1] - b.startTime[1];
