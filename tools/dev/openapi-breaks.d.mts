export function breaksBetween(before: object, after: object): Promise<string[]>;
