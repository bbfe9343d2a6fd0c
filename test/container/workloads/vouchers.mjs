import assert from 'node:assert/strict';

export const scopes = 'vouchers:read,vouchers:write,vouchers:redeem';
export const ask = '/v1/vouchers';
export const status = 201;

/** Half of the requests create a voucher and half redeem a shared one, in pairs, because two instances get requests in turn. */
export function request(number) {
  return number % 4 < 2 ? create(`LOAD-${number}`, 1) : redeem('SHARED');
}

export async function prepare(instance, headers) {
  for (const voucher of [create('SHARED', 1_000_000), create('SLOW', 5)]) {
    assert.equal((await instance.send({ ...voucher, headers })).status, status);
  }
}

export const hold = `SELECT FROM vouchers WHERE code = 'SLOW' FOR UPDATE`;
export const slow = () => redeem('SLOW');
export const slowStatus = 201;

export const large = { path: '/v1/vouchers', answers: [413] };

/** Every acknowledged write is in the database. A write without a response may be in the database. */
export async function assertNothingLost(database, { answered, failures }) {
  const created = answered.flatMap(({ body }) => (body ? [body.code] : []));
  const codes = await database.query(`SELECT code FROM vouchers WHERE code = ANY($1)`, [created]);
  assert.equal(codes.length, created.length);
  const redeemed = answered.length - created.length;
  const [{ redemptions }] = await database.query(`SELECT redemptions FROM vouchers WHERE code = 'SHARED'`);
  assert.ok(redemptions >= redeemed, `${redemptions} of ${redeemed} redemptions`);
  if (failures.length === 0) assert.equal(redemptions, redeemed);
}

function create(code, maxRedemptions) {
  return { method: 'POST', path: '/v1/vouchers', body: { code, maxRedemptions } };
}

function redeem(code) {
  return { method: 'POST', path: `/v1/vouchers/${code}/redemptions` };
}
