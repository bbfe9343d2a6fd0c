interface Finding {
  status: 'ok' | 'warn' | 'fail';
  detail: string;
  fix?: string;
}
export const repository: { id: string; run(context: object): Finding | Promise<Finding> }[];
