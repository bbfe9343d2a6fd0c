import { CreateVouchers1795478400000 } from './1795478400000-create-vouchers.js';
import { CreateIdempotencyKeys1795478400001 } from './1795478400001-create-idempotency-keys.js';
import { CreateApiKeys1795478400002 } from './1795478400002-create-api-keys.js';
import { AddVoucherOpen1795564800000 } from './1795564800000-add-voucher-open.js';
import { IndexVouchers1795564800001 } from './1795564800001-index-vouchers.js';

/** In the order in which they run; `npm run db:generate` adds its own. */
export const migrations = [
  CreateVouchers1795478400000,
  CreateIdempotencyKeys1795478400001,
  CreateApiKeys1795478400002,
  AddVoucherOpen1795564800000,
  IndexVouchers1795564800001,
];
