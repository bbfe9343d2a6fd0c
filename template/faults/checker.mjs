import { send } from './client.mjs';

const AT_ONCE = 20;

/** Retries every write that has no response or was rejected with 503, until it succeeds. */
export async function settle(target, url, journal, withinMs = 30_000) {
  const deadline = performance.now() + withinMs;
  const open = journal
    .of('create', 'redeem')
    .filter((entry) => !isAnswered(entry))
    .entries.slice();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (open.length > 0 && performance.now() < deadline) {
        const entry = open.pop();
        const { kind, method, path, headers, body } = entry;
        const again = await send(url, { kind, method, path, headers: { ...headers, ...target.headers }, body });
        journal.add(again);
        if (!isAnswered(again)) open.push(entry);
      }
    }),
  );
}

/** 409 for a new voucher: the first attempt created it. 409 for a redemption: the first attempt is still running. */
function isAnswered({ kind, status }) {
  return (status >= 200 && status < 300) || (kind === 'create' && status === 409);
}

/** Compares the acknowledged writes with the database. */
export async function check(database, journal) {
  const created = journal.of('create').served.entries.map(({ answer }) => JSON.parse(answer));
  const found = await database.query('SELECT id, code FROM vouchers WHERE id = ANY($1)', [created.map(({ id }) => id)]);
  const codes = new Map(found.map(({ id, code }) => [id, code]));
  const lostVouchers = created.filter(({ id, code }) => codes.get(id) !== code).length;

  const asked = journal.of('redeem');
  const redeemed = keysOf(asked.served);
  const unknown = keysOf(asked).difference(redeemed).size; // may or may not be applied
  const [{ redemptions }] = await database.query(
    `SELECT sum(redemptions)::integer AS redemptions FROM vouchers WHERE code LIKE 'SEED-%'`,
  );
  return {
    'acknowledged writes': created.length + redeemed.size,
    'lost acknowledged writes': lostVouchers + Math.max(0, redeemed.size - redemptions),
    'duplicate writes': Math.max(0, redemptions - redeemed.size - unknown),
  };
}

const keysOf = (journal) => new Set(journal.entries.map(({ headers }) => headers['idempotency-key']));
