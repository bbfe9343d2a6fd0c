// Baseline B0: node:http and pg without a framework and without API keys. This is the limit of Node and pg.
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import { HOST, PORT } from './pool.mjs';
import { logRequest } from './request-log.mjs';
import { faultsOf, isId, listOf, referenceOf } from './voucher-input.mjs';
import { createVoucher, getVoucher, listVouchers, ping, redeemVoucher, statusOf, updateVoucher } from './vouchers.mjs';

createServer((request, response) => {
  logRequest(request, response);
  answer(request).then(
    ({ status = 200, body }) => send(response, status, body),
    (error) => send(response, statusOf(error), { error: error.message }),
  );
}).listen(PORT, HOST);

function send(response, status, body) {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(text),
  });
  response.end(text);
}

async function answer(request) {
  const [path, query] = request.url.split('?');
  if (path === '/health/ready') {
    await ping();
    return { body: { status: 'ok' } };
  }
  if (path === '/v1/vouchers') return request.method === 'POST' ? create(request) : list(query);
  const [, name, redemptions] = /^\/v1\/vouchers\/([^/]+)(\/redemptions)?$/.exec(path) ?? [];
  if (!name) return notFound;
  if (redemptions) return redeem(request, name);
  if (!isId(name)) return invalid('id');
  return request.method === 'PATCH' ? update(request, name) : found(await getVoucher(name));
}

async function create(request) {
  const body = await json(request);
  const faults = faultsOf(body);
  return faults.length > 0 ? invalid(...faults) : { status: 201, body: await createVoucher(body) };
}

async function list(query) {
  const wanted = listOf(Object.fromEntries(new URLSearchParams(query)));
  return wanted ? { body: await listVouchers(wanted) } : invalid('query');
}

async function update(request, id) {
  const body = await json(request);
  const faults = faultsOf(body, []);
  return faults.length > 0 ? invalid(...faults) : found(await updateVoucher(id, body));
}

async function redeem(request, code) {
  const hasBody = request.headers['content-length'] > 0 || request.headers['transfer-encoding'];
  const reference = referenceOf(hasBody ? await json(request) : {});
  if (reference === undefined) return invalid('reference');
  const redemption = await redeemVoucher(code.toUpperCase(), reference);
  return redemption ? { status: 201, body: redemption } : { status: 409, body: { error: 'not redeemable' } };
}

const notFound = { status: 404, body: { error: 'not found' } };
const invalid = (...faults) => ({ status: 400, body: { error: 'invalid', faults } });
const found = (voucher) => (voucher ? { body: voucher } : notFound);
