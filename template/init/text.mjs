// What init does to the text of the files that stay.

/**
 * Without what stands between two lines with this mark: `<!-- template -->` and `<!-- /template -->` in Markdown,
 * `# template` and `# /template`, or with `//`, elsewhere. The mark is `template` around what belongs to the workshop, and
 * `init` around what is over once init has run.
 */
export function withoutParts(text, mark) {
  return text.replaceAll(new RegExp(`^( *)(<!--|#|//) ${mark}( -->)?\\n[^]*?^\\1\\2 /${mark}( -->)?\\n`, 'gm'), '');
}

/** Without the rows and list items of Markdown that are about scripts or files that have gone. */
export function withoutLinesAbout(text, { scripts, paths }) {
  const words = [...scripts.map((script) => `npm run ${script}`), ...paths];
  const isAbout = (line) => words.some((word) => new RegExp(`(\`|\\()${RegExp.escape(word)}(?![\\w:])`).test(line));
  return text.replaceAll(/^(\||- |\d+\. ).*\n/gm, (line) => (isAbout(line) ? '' : line));
}

/** package.json for the team: without what has gone, with what was answered. */
export function withAnswers(manifest, { name, title, description }, { scripts, devDependencies }) {
  return {
    ...manifest,
    ...{ name, displayName: title, version: '0.1.0', description },
    scripts: without(manifest.scripts, scripts),
    devDependencies: without(manifest.devDependencies, devDependencies),
  };
}

function without(object, keys) {
  return Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)));
}

/** The head of README.md: the title and a sentence in place of the starter's. */
export function withHead(readme, { title, description }) {
  return readme
    .replace(/^# .*\n/, `# ${title}\n`)
    .replace(/^<!-- init -->\n[^]*?^<!-- \/init -->\n/m, `${description.replace(/\.?$/, '.')}\n`);
}

/** The licence names its holder. */
export function withHolder(licence, owner) {
  return licence.replace(/^Copyright \(c\) \d+ .*$/m, `Copyright (c) ${new Date().getFullYear()} ${owner}`);
}
