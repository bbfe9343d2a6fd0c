// src/migrations/index.ts lists the migrations in the order in which they run.

/** Appends a migration to the list. */
export function registerMigration(text, className, file) {
  return text
    .replace(/^(?!import )/m, `import { ${className} } from './${file}.js';\n`)
    .replace(/,?\s*\];/, `, ${className}];`)
    .replace(/\[\s*,/, '[');
}

/** Removes a migration from the list. */
export function unregisterMigration(text, className) {
  return text
    .replace(new RegExp(String.raw`^import \{ ${className} \} from .*\n`, 'm'), '')
    .replace(new RegExp(String.raw`\b${className},?\s*`), '');
}
