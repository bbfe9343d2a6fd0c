import { defineProblem } from '../platform/problems/problem.js';

export const voucherNotFound = defineProblem('voucher_not_found', 404, 'Voucher not found');
export const voucherCodeTaken = defineProblem('voucher_code_taken', 409, 'Voucher code already exists', {
  name: 'UQ_vouchers_code',
  field: 'code',
});
export const voucherOverRedeemed = defineProblem('voucher_over_redeemed', 409, 'Redemptions exceed maxRedemptions', {
  name: 'CK_vouchers_redemptions',
  field: 'maxRedemptions',
});
export const voucherInactive = defineProblem('voucher_inactive', 409, 'Voucher inactive');
export const voucherExpired = defineProblem('voucher_expired', 409, 'Voucher expired');
export const voucherExhausted = defineProblem('voucher_exhausted', 409, 'Voucher exhausted');
