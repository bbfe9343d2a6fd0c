import { jest } from '@jest/globals';
import pg from 'pg';
import type { TestApp } from './test-app.js';

export interface PlanNode {
  'Node Type': string;
  'Index Name'?: string;
  /** Of an analyzed plan: per loop. */
  'Actual Rows'?: number;
  'Actual Loops'?: number;
  Plans?: PlanNode[];
}

/** Sends a GET request and returns the statements that read the table, with their values. */
export async function statementsOf({ http }: Pick<TestApp, 'http'>, path: string, table: string) {
  const query = jest.spyOn(pg.Client.prototype, 'query');
  try {
    await http.get(path).expect(200);
    return query.mock.calls
      .map(([first, values]: unknown[]) => (typeof first === 'string' ? { text: first, values } : first))
      .filter((call): call is { text: string; values: unknown[] } => hasText(call) && call.text.includes(`"${table}"`));
  } finally {
    query.mockRestore();
  }
}

/**
 * Returns the nodes of the plans of a list request that reads every row it can from an index. A table with few rows would
 * otherwise be read and sorted as a whole.
 */
export async function indexPlanOf(app: TestApp, path: string, table: string): Promise<PlanNode[]> {
  const statements = await statementsOf(app, path, table);
  const client = new pg.Client(app.database.url);
  await client.connect();
  await client.query('SET enable_seqscan = off; SET enable_sort = off');
  const nodes: PlanNode[] = [];
  for (const { text, values } of statements) {
    const { rows } = await client.query(`EXPLAIN (FORMAT JSON) ${text}`, values);
    nodes.push(...flatten(rows[0]['QUERY PLAN'][0].Plan));
  }
  await client.end();
  return nodes;
}

export function flatten(node: PlanNode): PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(flatten)];
}

const hasText = (call: unknown): call is { text: string } => typeof (call as { text?: unknown })?.text === 'string';
