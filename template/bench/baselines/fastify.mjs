// Baseline B2: Fastify 5 and pg with named statements, JSON schemas, and the API key check of this service.
import fastify from 'fastify';
import { mayUse } from './api-key.mjs';
import { HOST, PORT } from './pool.mjs';
import { logRequest } from './request-log.mjs';
import { isId, isInstant, isMetadata, listOf } from './voucher-input.mjs';
import { createVoucher, getVoucher, listVouchers, ping, redeemVoucher, statusOf, updateVoucher } from './vouchers.mjs';

const voucher = {
  type: 'object',
  additionalProperties: false,
  properties: {
    code: { type: 'string', pattern: '^[A-Za-z0-9-]{4,32}$' },
    description: { type: ['string', 'null'], maxLength: 500 },
    metadata: { type: 'object' },
    maxRedemptions: { type: 'integer', minimum: 1, maximum: 1_000_000 },
    expiresAt: { type: ['string', 'null'] },
    active: { type: 'boolean' },
  },
};
const createBody = { ...voucher, required: ['code', 'maxRedemptions'] };
const redeemBody = {
  type: ['object', 'null'],
  additionalProperties: false,
  properties: { reference: { type: 'string', maxLength: 64 } },
};

// Disables coercion and removal of properties: https://fastify.dev/docs/latest/Reference/Validation-and-Serialization/
const app = fastify({ ajv: { customOptions: { removeAdditional: false, coerceTypes: false } } });
app.addHook('onRequest', (request, reply, done) => {
  logRequest(request.raw, reply.raw);
  done();
});
app.setErrorHandler((error, _request, reply) => reply.code(statusOf(error)).send({ error: error.message }));

const requireScope = (scope) => async (request, reply) => {
  const isAllowed = await mayUse(request.headers['x-api-key'], scope);
  return isAllowed ? undefined : reply.code(401).send({ error: 'unauthorized' });
};

/** Validates the rules that a JSON schema cannot express. */
const checkVoucher = async ({ body: { metadata = {}, expiresAt = null } }, reply) => {
  const isValid = isMetadata(metadata) && (expiresAt === null || isInstant(expiresAt));
  return isValid ? undefined : invalid(reply);
};

app.get('/health/ready', async () => {
  await ping();
  return { status: 'ok' };
});

app.route({
  method: 'POST',
  url: '/v1/vouchers',
  schema: { body: createBody },
  onRequest: requireScope('vouchers:write'),
  preHandler: checkVoucher,
  handler: async ({ body }, reply) => {
    const created = await createVoucher(body);
    reply.code(201).header('Location', `/v1/vouchers/${created.id}`);
    return sendVoucher(reply, created);
  },
});

app.get('/v1/vouchers', { onRequest: requireScope('vouchers:read') }, async ({ query }, reply) => {
  const wanted = listOf(query);
  return wanted ? listVouchers(wanted) : invalid(reply);
});

app.get('/v1/vouchers/:id', { onRequest: requireScope('vouchers:read') }, async ({ params: { id } }, reply) =>
  isId(id) ? sendVoucher(reply, await getVoucher(id)) : invalid(reply),
);

app.route({
  method: 'PATCH',
  url: '/v1/vouchers/:id',
  schema: { body: voucher },
  onRequest: requireScope('vouchers:write'),
  preHandler: checkVoucher,
  handler: async ({ params: { id }, body }, reply) =>
    isId(id) ? sendVoucher(reply, await updateVoucher(id, body)) : invalid(reply),
});

app.route({
  method: 'POST',
  url: '/v1/vouchers/:code/redemptions',
  schema: { body: redeemBody },
  onRequest: requireScope('vouchers:redeem'),
  handler: async ({ params: { code }, body }, reply) => {
    const redemption = await redeemVoucher(code.toUpperCase(), body?.reference ?? null);
    return redemption ? reply.code(201).send(redemption) : reply.code(409).send({ error: 'not redeemable' });
  },
});

await app.listen({ port: Number(PORT), host: HOST });

function sendVoucher(reply, found) {
  if (!found) return reply.code(404).send({ error: 'not found' });
  return reply.header('ETag', `"${found.version}"`).send(found);
}

function invalid(reply) {
  return reply.code(400).send({ error: 'invalid' });
}
