// The requests that are measured, and the proof that the services do the same work.
import { isDeepStrictEqual } from 'node:util';
import { codeOf, idOf, VOUCHERS } from './database.mjs';
import { SERVICES } from './services.mjs';

/** The requests of a cell repeat after so many, spread over the whole table. */
const DIFFERENT = 500;

/** The request of each cell, for the voucher of that number. */
export const REQUESTS = {
  get: (number) => ({ path: `/v1/vouchers/${idOf(number)}` }),
  list: () => ({ path: '/v1/vouchers?active=true&limit=20' }),
  redeem: (number) => post(`/v1/vouchers/${codeOf(number)}/redemptions`, { reference: `order-${number}` }),
  // Last, because it adds rows.
  create: () => post('/v1/vouchers', newVoucher()),
};

/** In autocannon's form, which takes them in turn. */
export function requestsOf(cell, keys) {
  return Array.from({ length: DIFFERENT }, (_, index) => {
    const number = 1 + index * Math.floor(VOUCHERS / DIFFERENT);
    const { headers, ...made } = REQUESTS[cell](number);
    // A code that is new each time is made just before it is sent.
    const renew = cell === 'create' && { setupRequest: (request) => ({ ...request, body: REQUESTS.create().body }) };
    return { ...made, headers: { ...headers, ...headersOf(keys, index) }, ...renew };
  });
}

/** Each key comes from an address of its own, as the first proxy tells it: the rate limit counts both. */
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

/** Requests whose answers are compared before anything is measured, with what each service answers in its own way. */
const SAMPLES = [
  { name: 'GET by id', ...REQUESTS.get(7) },
  { name: 'GET of none', path: `/v1/vouchers/${idOf(0)}`, ownBody: true },
  { name: 'list', ...REQUESTS.list(), own: ['nextCursor'] },
  { name: 'redeem', ...REQUESTS.redeem(7), own: ['redeemedAt'] },
  { name: 'POST', ...post('/v1/vouchers', newVoucher('SAMPLE')), own: ['id', 'createdAt', 'updatedAt'] },
  { name: 'POST of a short code', ...post('/v1/vouchers', newVoucher('A')), ownBody: true },
  { name: 'POST of an unknown field', ...post('/v1/vouchers', { ...newVoucher(), more: 1 }), ownBody: true },
  {
    name: 'POST of text for a number',
    ...post('/v1/vouchers', { ...newVoucher(), maxRedemptions: '1' }),
    ownBody: true,
  },
];

/** What a service, freshly seeded, answers to the samples. */
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

/** @throws when a service does not do what ours does */
export function compareAnswers(name, answers, ours) {
  for (const [sample, answer] of Object.entries(answers)) {
    if (!isDeepStrictEqual(answer, ours[sample])) {
      const [theirs, expected] = [answer, ours[sample]].map((each) => JSON.stringify(each).slice(0, 200));
      throw new Error(`${SERVICES[name].title} answers ${sample} with ${theirs}, and this service with ${expected}.`);
    }
  }
}
