export function unportable(dockerfile: string): string[];
