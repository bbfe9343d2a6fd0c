import { defineProblem } from '../platform/problems/problem.js';

export const voucherNotFound = defineProblem('voucher_not_found', 404, 'There is no such voucher');
export const voucherCodeTaken = defineProblem('voucher_code_taken', 409, 'Another voucher has this code', {
  name: 'UQ_vouchers_code',
  field: 'code',
});
export const voucherOverRedeemed = defineProblem(
  'voucher_over_redeemed',
  409,
  'The voucher has been redeemed more often than maxRedemptions would allow',
  { name: 'CK_vouchers_redemptions', field: 'maxRedemptions' },
);
export const voucherInactive = defineProblem('voucher_inactive', 409, 'The voucher is not active');
export const voucherExpired = defineProblem('voucher_expired', 409, 'The voucher has expired');
export const voucherExhausted = defineProblem('voucher_exhausted', 409, 'The voucher has no redemptions left');
