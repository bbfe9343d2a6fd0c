// Defines the measured requests, and compares the responses of the services.
import { isDeepStrictEqual } from 'node:util';
import { codeOf, idOf, VOUCHERS } from './database.mjs';
import { titleOf } from './services.mjs';

/** Number of distinct requests per cell, spread over the whole table. */
const DIFFERENT = 500;

/** Returns the request of a cell for the voucher with this number. */
export const REQUESTS = {
  get: (number) => ({ path: `/v1/vouchers/${idOf(number)}` }),
  list: () => ({ path: '/v1/vouchers?active=true&limit=20' }),
  redeem: (number) => post(`/v1/vouchers/${codeOf(number)}/redemptions`, { reference: `order-${number}` }),
  // Last, because it adds rows.
  create: () => post('/v1/vouchers', newVoucher()),
};

/** Returns the MCP tool call that corresponds to the GET of the voucher with this number, as the official client sends it. */
function callTool(number) {
  const [version, method, name] = ['2026-07-28', 'tools/call', 'vouchers_get'];
  const { headers, ...request } = post('/mcp', {
    method,
    params: {
      name,
      arguments: { id: idOf(number) },
      _meta: {
        'io.modelcontextprotocol/protocolVersion': version,
        'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1.0.0' },
        'io.modelcontextprotocol/clientCapabilities': {},
      },
    },
    jsonrpc: '2.0',
    id: 1,
  });
  const protocol = { 'mcp-protocol-version': version, 'mcp-method': method, 'mcp-name': name };
  return { ...request, headers: { ...headers, ...protocol, accept: 'application/json, text/event-stream' } };
}

/** Returns the requests of a cell, or MCP tool calls for `tool`. They are sent in turn. */
export function requestsOf(cell, keys) {
  const requestOf = cell === 'tool' ? callTool : REQUESTS[cell];
  return Array.from({ length: DIFFERENT }, (_, index) => {
    const number = 1 + index * Math.floor(VOUCHERS / DIFFERENT);
    const { headers, ...made } = requestOf(number);
    // The code must be unique, so the body is generated immediately before the request.
    const renewed = cell === 'create' && { body: () => REQUESTS.create().body };
    return { ...made, headers: { ...headers, ...headersOf(keys, index) }, ...renewed };
  });
}

/** Returns the headers of a caller. Each key has its own client address, because the rate limit counts both. */
function headersOf(keys, index) {
  const caller = index % keys.length;
  return { 'x-api-key': keys[caller], 'x-forwarded-for': `10.0.0.${caller}` };
}

function post(path, body) {
  return { method: 'POST', path, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}

let created = 0;

function newVoucher(code = `NEW-${(created += 1)}`) {
  return {
    code,
    description: 'Ten percent off in summer',
    metadata: { campaign: 'summer' },
    maxRedemptions: 100,
    expiresAt: '2099-08-31T22:00:00Z',
  };
}

/** Requests whose responses are compared before the measurement. With `ownBody`, the bodies can differ. */
const SAMPLES = [
  { name: 'GET by id', ...REQUESTS.get(7) },
  { name: 'GET of an unknown id', path: `/v1/vouchers/${idOf(0)}`, ownBody: true },
  { name: 'list', ...REQUESTS.list(), own: ['nextCursor'] },
  { name: 'redeem', ...REQUESTS.redeem(7), own: ['redeemedAt'] },
  { name: 'POST', ...post('/v1/vouchers', newVoucher('SAMPLE')), own: ['id', 'createdAt', 'updatedAt'] },
  { name: 'POST with a short code', ...post('/v1/vouchers', newVoucher('A')), ownBody: true },
  { name: 'POST with an unknown field', ...post('/v1/vouchers', { ...newVoucher(), more: 1 }), ownBody: true },
  {
    name: 'POST with text instead of a number',
    ...post('/v1/vouchers', { ...newVoucher(), maxRedemptions: '1' }),
    ownBody: true,
  },
];

/** Returns the responses of a freshly seeded service to the samples. */
export async function answersOf({ url }, keys) {
  const answers = {};
  for (const { name, path, own = [], ownBody, ...request } of SAMPLES) {
    const response = await fetch(url + path, { ...request, headers: { ...request.headers, ...headersOf(keys, 0) } });
    const body = await response.json();
    for (const field of own) delete body[field];
    answers[name] = { status: response.status, ...(!ownBody && { body }) };
  }
  return answers;
}

/** @throws {Error} if a response differs from the response of this service */
export function compareAnswers(name, answers, ours) {
  for (const [sample, answer] of Object.entries(answers)) {
    if (!isDeepStrictEqual(answer, ours[sample])) {
      const [theirs, expected] = [answer, ours[sample]].map((each) => JSON.stringify(each).slice(0, 200));
      throw new Error(`${titleOf(name)} answers ${sample} with ${theirs}, and this service with ${expected}.`);
    }
  }
}

/** @throws {Error} if the tool call does not return the voucher of the GET request */
export async function checkTool({ url }, keys) {
  const [{ path, ...request }] = requestsOf('tool', keys);
  const { result } = await (await fetch(url + path, request)).json();
  if (result?.structuredContent?.id !== idOf(1)) throw new Error(`The MCP tool returned ${JSON.stringify(result)}.`);
}
