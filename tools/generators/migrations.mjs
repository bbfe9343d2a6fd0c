// src/migrations/index.ts lists the migrations in the order in which they run.

/** The list with one more at its end. */
export function registerMigration(text, className, file) {
  return text
    .replace(/^(?!import )/m, `import { ${className} } from './${file}.js';\n`)
    .replace(/,?\s*\];/, `, ${className}];`)
    .replace(/\[\s*,/, '[');
}

/** The list without one. */
export function unregisterMigration(text, className) {
  return text
    .replace(new RegExp(String.raw`^import \{ ${className} \} from .*\n`, 'm'), '')
    .replace(new RegExp(String.raw`\b${className},?\s*`), '');
}
