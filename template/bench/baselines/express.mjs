// Baseline B1: Express 5 and pg with named statements, manual validation, and the API key check of this service.
import express from 'express';
import { mayUse } from './api-key.mjs';
import { HOST, PORT } from './pool.mjs';
import { logRequest } from './request-log.mjs';
import { faultsOf, isId, listOf, referenceOf } from './voucher-input.mjs';
import { createVoucher, getVoucher, listVouchers, ping, redeemVoucher, statusOf, updateVoucher } from './vouchers.mjs';

const app = express();
app.disable('x-powered-by');
app.disable('etag'); // this service does not hash response bodies either
app.use(logRequest);
app.use(express.json());

app.get('/health/ready', async (_request, response) => {
  await ping();
  response.json({ status: 'ok' });
});

const requireScope = (scope) => async (request, response, next) => {
  if (await mayUse(request.get('x-api-key'), scope)) next();
  else response.status(401).json({ error: 'unauthorized' });
};

app.post('/v1/vouchers', requireScope('vouchers:write'), async ({ body }, response) => {
  const faults = faultsOf(body);
  if (faults.length > 0) return invalid(response, ...faults);
  const voucher = await createVoucher(body);
  response.status(201).location(`/v1/vouchers/${voucher.id}`);
  return sendVoucher(response, voucher);
});

app.get('/v1/vouchers', requireScope('vouchers:read'), async ({ query }, response) => {
  const wanted = listOf(query);
  if (!wanted) return invalid(response, 'query');
  return response.json(await listVouchers(wanted));
});

app.get('/v1/vouchers/:id', requireScope('vouchers:read'), async ({ params: { id } }, response) => {
  if (!isId(id)) return invalid(response, 'id');
  return sendVoucher(response, await getVoucher(id));
});

app.patch('/v1/vouchers/:id', requireScope('vouchers:write'), async ({ params: { id }, body }, response) => {
  const faults = isId(id) ? faultsOf(body, []) : ['id'];
  if (faults.length > 0) return invalid(response, ...faults);
  return sendVoucher(response, await updateVoucher(id, body));
});

app.post('/v1/vouchers/:code/redemptions', requireScope('vouchers:redeem'), async ({ params, body }, response) => {
  const reference = referenceOf(body);
  if (reference === undefined) return invalid(response, 'reference');
  const redemption = await redeemVoucher(params.code.toUpperCase(), reference);
  if (!redemption) return response.status(409).json({ error: 'not redeemable' });
  return response.status(201).json(redemption);
});

// Express identifies an error handler by its four parameters.
app.use((error, _request, response, _next) => response.status(statusOf(error)).json({ error: error.message }));
app.listen(PORT, HOST);

function sendVoucher(response, voucher) {
  if (!voucher) return response.status(404).json({ error: 'not found' });
  return response.set('ETag', `"${voucher.version}"`).json(voucher);
}

function invalid(response, ...faults) {
  return response.status(400).json({ error: 'invalid', faults });
}
