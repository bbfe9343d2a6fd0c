export const format = (cells: string[]): string => cells.join(',');
