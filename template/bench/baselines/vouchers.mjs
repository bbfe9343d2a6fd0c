// SQL statements of the bare servers. Each one has a name, so pg prepares it once per connection.
import { createHash } from 'node:crypto';
import { pool } from './pool.mjs';

const COLUMNS = `id, code, description, metadata, max_redemptions AS "maxRedemptions", redemptions,
  expires_at AS "expiresAt", active, version, created_at AS "createdAt", updated_at AS "updatedAt"`;

const COLUMN_OF = {
  code: 'code',
  description: 'description',
  metadata: 'metadata',
  maxRedemptions: 'max_redemptions',
  expiresAt: 'expires_at',
  active: 'active',
};

export async function ping() {
  await pool.query('SELECT 1');
}

export async function getVoucher(id) {
  const { rows } = await pool.query({
    name: 'get',
    text: `SELECT ${COLUMNS} FROM vouchers WHERE id = $1`,
    values: [id],
  });
  return rows[0];
}

/** Newest first. */
export async function listVouchers({ limit, active }) {
  const isFiltered = active !== undefined;
  const { rows } = await pool.query({
    name: isFiltered ? 'list filtered' : 'list',
    text: `SELECT ${COLUMNS} FROM vouchers ${isFiltered ? 'WHERE active = $2' : ''}
            ORDER BY created_at DESC, id DESC LIMIT $1`,
    values: isFiltered ? [limit + 1, active] : [limit + 1],
  });
  const items = rows.slice(0, limit);
  return { items, nextCursor: rows.length > limit ? cursorAfter(items.at(-1), { active }) : null };
}

/** Returns the same cursor as this service, so that the response bodies are identical. */
function cursorAfter({ createdAt, id }, filters) {
  const value = createdAt.toISOString();
  const sum = createHash('sha256').update(JSON.stringify([['-createdAt', filters], value, id]));
  return Buffer.from(JSON.stringify([sum.digest('base64url').slice(0, 8), value, id])).toString('base64url');
}

export async function createVoucher(voucher) {
  const { code, description = null, metadata = {}, maxRedemptions, expiresAt = null, active = true } = voucher;
  const { rows } = await pool.query({
    name: 'create',
    text: `INSERT INTO vouchers (code, description, metadata, max_redemptions, expires_at, active)
           VALUES ($1, $2, $3, $4, $5, $6) RETURNING ${COLUMNS}`,
    values: [code.toUpperCase(), description, metadata, maxRedemptions, expiresAt, active],
  });
  return rows[0];
}

export async function updateVoucher(id, changes) {
  const fields = Object.keys(changes);
  const assignments = fields.map((field, index) => `${COLUMN_OF[field]} = $${index + 2}, `).join('');
  const { rows } = await pool.query({
    name: `update ${fields.join(' ')}`,
    text: `UPDATE vouchers SET ${assignments} version = version + 1, updated_at = now()
            WHERE id = $1 RETURNING ${COLUMNS}`,
    values: [id, ...fields.map((field) => (field === 'code' ? changes.code.toUpperCase() : changes[field]))],
  });
  return rows[0];
}

export async function redeemVoucher(code, reference) {
  const { rows } = await pool.query({
    name: 'redeem',
    text: `UPDATE vouchers SET redemptions = redemptions + 1, version = version + 1, updated_at = now()
            WHERE code = $1 AND active AND (expires_at IS NULL OR expires_at > now()) AND redemptions < max_redemptions
        RETURNING redemptions, max_redemptions - redemptions AS remaining, updated_at AS "redeemedAt"`,
    values: [code],
  });
  return rows[0] && { code, reference, ...rows[0] };
}

/** 23505: duplicate code. 23514: limit below the redemptions. https://www.postgresql.org/docs/current/errcodes-appendix.html */
export function statusOf(error) {
  return ['23505', '23514'].includes(error.code) ? 409 : (error.status ?? error.statusCode ?? 500);
}
