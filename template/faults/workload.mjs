import { randomUUID } from 'node:crypto';

/** Vouchers of every drill's database: one for the drill itself, and the others for the traffic. */
export const SHARED = 'SHARED';
const SEEDS = Array.from({ length: 200 }, (_, index) => ({
  id: `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`,
  code: `SEED-${index}`,
}));

export async function seed(database) {
  await database.query(
    `INSERT INTO vouchers (id, code, max_redemptions)
     SELECT id::uuid, code, 1000000 FROM json_to_recordset($1) AS seed (id text, code text)`,
    [JSON.stringify([...SEEDS, { id: randomUUID(), code: SHARED }])],
  );
}

/** A large number, so that two requests rarely wait for the same row. */
export const voucher = (number) => SEEDS[number % SEEDS.length];

export const read = (number = 0) => ({ kind: 'read', path: `/v1/vouchers/${voucher(number).id}` });

export const create = (code) => ({
  ...{ kind: 'create', method: 'POST', path: '/v1/vouchers' },
  body: { code, maxRedemptions: 1 },
});

/** Has a unique Idempotency-Key, so that a client without a response can retry it. */
export const redeem = (code = SHARED, key = randomUUID()) => ({
  ...{ kind: 'redeem', method: 'POST', path: `/v1/vouchers/${code}/redemptions` },
  headers: { 'idempotency-key': key },
});

export const patch = ({ id }, body, headers) => ({
  ...{ kind: 'patch', method: 'PATCH', path: `/v1/vouchers/${id}` },
  ...{ body, headers },
});

/** Half reads, a quarter new vouchers, and a quarter redemptions. */
export const mixed = (number) => {
  if (number % 4 < 2) return read(number);
  return number % 4 === 2 ? create(`LOAD-${number}`) : redeem(voucher(number).code);
};
