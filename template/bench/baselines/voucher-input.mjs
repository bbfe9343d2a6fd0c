// Manual validation with the rules of src/vouchers/voucher.dto.ts.

const RULES = {
  code: (value) => typeof value === 'string' && /^[A-Za-z0-9-]{4,32}$/.test(value),
  description: (value) => value === null || (typeof value === 'string' && value.length <= 500),
  metadata: isMetadata,
  maxRedemptions: (value) => Number.isInteger(value) && value >= 1 && value <= 1_000_000,
  expiresAt: (value) => value === null || isInstant(value),
  active: (value) => typeof value === 'boolean',
};

/** Returns the names of missing, unknown and invalid fields. */
export function faultsOf(body, required = ['code', 'maxRedemptions']) {
  if (!isObject(body)) return ['body'];
  const unknown = Object.keys(body).filter((name) => !Object.hasOwn(RULES, name));
  const wrong = Object.keys(RULES).filter((name) =>
    body[name] === undefined ? required.includes(name) : !RULES[name](body[name]),
  );
  return [...unknown, ...wrong];
}

/** Supports the first page only, without a cursor. */
export function listOf(query) {
  const limit = /^\d{1,3}$/.test(query.limit ?? '20') ? Number(query.limit ?? 20) : 0;
  const active = { true: true, false: false }[query.active];
  const isValid = limit >= 1 && limit <= 100 && (query.active === undefined || active !== undefined);
  return isValid ? { limit, active } : undefined;
}

export const isId = (text) => /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);

/** Returns undefined if the body is invalid. */
export function referenceOf(body = {}) {
  const { reference = null, ...others } = isObject(body) ? body : { body };
  const isValid = reference === null || (typeof reference === 'string' && reference.length <= 64);
  return isValid && Object.keys(others).length === 0 ? reference : undefined;
}

export function isMetadata(value) {
  return isObject(value) && depthOf(value) <= 5 && Buffer.byteLength(JSON.stringify(value)) <= 4096;
}

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

function depthOf(value) {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

export function isInstant(value) {
  const form = /^[2-9]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;
  return typeof value === 'string' && form.test(value) && !Number.isNaN(Date.parse(value));
}
