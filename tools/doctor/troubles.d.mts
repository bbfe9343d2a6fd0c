export interface Trouble {
  message: string;
  pattern: RegExp;
  cause: string;
  fix: string;
}
export const TROUBLES: Trouble[];
export function explain(log: string): { line: string; trouble: Trouble }[];
