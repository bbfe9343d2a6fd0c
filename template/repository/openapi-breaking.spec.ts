import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { breaksBetween } from '../../tools/dev/openapi-breaks.mjs';

const text = { type: 'string' };
const answer = (schema: object) => ({ description: '', content: { 'application/json': { schema } } });
const NOTE = { type: 'object', properties: { title: text, due: { ...text, nullable: true } }, required: ['title'] };
const NEW_NOTE = { ...NOTE, additionalProperties: false };
const SEARCH = { name: 'q', in: 'query', schema: text };
const SORT = { name: 'sort', in: 'query', schema: { type: 'string', enum: ['title', '-title'] } };
const PARAMETERS = [SEARCH, SORT];

interface Parts {
  parameters?: object[];
  sent?: object;
  answered?: object;
  status?: string;
}

/** A document, with what a case changes in it. */
function document({ parameters = PARAMETERS, sent = NEW_NOTE, answered = NOTE, status = '201' }: Parts = {}) {
  const body = { content: { 'application/json': { schema: sent } } };
  return {
    openapi: '3.0.3',
    info: { title: 'Notes', version: '1.0.0' },
    paths: {
      '/notes': {
        get: { parameters, responses: { 200: answer({ type: 'array', items: answered }) } },
        post: { requestBody: body, responses: { [status]: answer(answered) } },
      },
    },
  };
}

const withProperty = (schema: typeof NOTE, name: string, value: object) => ({
  ...schema,
  properties: { ...schema.properties, [name]: value },
});

describe('the clients of a document', () => {
  it.each<[string, Parts]>([
    ['a parameter that has gone', { parameters: [SORT] }],
    ['a parameter that is required now', { parameters: [{ ...SEARCH, required: true }, SORT] }],
    [
      'a value that a parameter takes no more',
      { parameters: [SEARCH, { ...SORT, schema: { type: 'string', enum: ['title'] } }] },
    ],
    ['a property that must be sent now', { sent: { ...NEW_NOTE, required: ['title', 'due'] } }],
    ['a property that is taken no more', { sent: { ...NEW_NOTE, properties: { title: text } } }],
    ['a property that may be null no more', { sent: withProperty(NEW_NOTE, 'due', text) }],
    ['a tighter limit', { sent: withProperty(NEW_NOTE, 'title', { ...text, maxLength: 5 }) }],
    ['an answer without a property', { answered: { type: 'object', properties: { due: text } } }],
    ['an answer that may be null', { answered: withProperty(NOTE, 'title', { ...text, nullable: true }) }],
    ['an answer of another type', { answered: withProperty(NOTE, 'title', { type: 'integer' }) }],
    ['another status', { status: '200' }],
  ])('are broken by %s', async (_, change) => {
    expect(await breaksBetween(document(), document(change))).not.toEqual([]);
  });

  it.each<[string, Parts]>([
    ['nothing', {}],
    ['another parameter', { parameters: [...PARAMETERS, { name: 'limit', in: 'query', schema: { type: 'integer' } }] }],
    ['another property to send', { sent: withProperty(NEW_NOTE, 'colour', text) }],
    ['another property in the answer', { answered: withProperty(NOTE, 'colour', text) }],
    ['words', { sent: { ...NEW_NOTE, description: 'A new note' } }],
  ])('are not broken by %s', async (_, change) => {
    expect(await breaksBetween(document(), document(change))).toEqual([]);
  });

  it('are broken by a removed operation', async () => {
    const before = document();
    const { post, ...others } = before.paths['/notes'];
    const after = { ...before, paths: { '/notes': others } };
    expect(await breaksBetween(before, after)).toEqual([expect.stringContaining('method.remove paths./notes.post')]);
    expect(post).toBeDefined();
  });
});

describe('npm run openapi:breaking', () => {
  const folder = mkdtempSync(join(tmpdir(), 'contract-'));
  const { GIT_DIR: _, GIT_INDEX_FILE: __, ...env } = process.env;
  const git = (...args: string[]) => execFileSync('git', args, { cwd: folder, env, stdio: 'pipe' });
  const write = (value: object, file = 'openapi.json') => writeFileSync(join(folder, file), JSON.stringify(value));

  function run(...args: string[]) {
    const script = resolve('tools/dev/openapi-breaking.mjs');
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], {
      cwd: folder,
      env,
      encoding: 'utf8',
    });
    return { status, output: stdout + stderr };
  }

  function release(tag: string) {
    git('add', '--all');
    git(
      '-c',
      'user.name=Ada',
      '-c',
      'user.email=ada@example.com',
      'commit',
      '--quiet',
      '--allow-empty',
      '--message',
      tag,
    );
    git('tag', tag);
  }

  beforeAll(() => {
    git('init', '--quiet');
    write(document({ parameters: [] }));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('has nothing to say before the first release, nor about those of the template', () => {
    expect(run()).toEqual({ status: 0, output: expect.stringContaining('No release yet') });
    release('v9.0.0');
    write({}, '.template.json');
    write(document({ status: '200' }));
    expect(run()).toEqual({ status: 0, output: expect.stringContaining('No release yet') });
  });

  it('names what breaks the last release, until it is accepted with a reason', () => {
    write(document());
    release('v1.0.0');
    expect(run().output).toBe('Nothing breaks clients of v1.0.0.\n');
    write(document({ parameters: [] }));
    expect(run()).toEqual({ status: 1, output: expect.stringContaining('This breaks clients of v1.0.0:\n  ') });
    expect(run('--accept', ' ')).toEqual({
      status: 1,
      output: expect.stringContaining('--accept needs a reason. Usage: '),
    });
    expect(run('--accept', 'Nobody searches').status).toBe(0);
    const { since, accepted } = JSON.parse(readFileSync(join(folder, 'openapi-breaking.json'), 'utf8'));
    expect([since, ...Object.values(accepted)]).toEqual(['v1.0.0', 'Nobody searches']);
    expect(run()).toEqual({ status: 0, output: 'Nothing breaks clients of v1.0.0, except for accepted changes.\n' });
  });

  it('accepts nothing beyond that, and nothing any more once it is released', () => {
    write(document({ parameters: [], status: '200' }));
    expect(run().status).toBe(1);
    write(document({ parameters: [] }));
    release('v2.0.0');
    expect(run()).toEqual({ status: 0, output: 'Nothing breaks clients of v2.0.0.\n' });
    expect(run('--accept', 'none').status).toBe(0);
    expect(existsSync(join(folder, 'openapi-breaking.json'))).toBe(false);
  });
});
