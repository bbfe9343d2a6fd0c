// Text changes that `npm run init` makes in the remaining files.

/**
 * Removes the parts between two marks: `<!-- template -->` and `<!-- /template -->` in Markdown, elsewhere `# template` and
 * `# /template`, or with `//`. The mark `template` encloses text about the template's own development. The mark `init`
 * encloses text that is obsolete after init.
 */
export function withoutParts(text, mark) {
  return text.replaceAll(new RegExp(`^( *)(<!--|#|//) ${mark}( -->)?\\n[^]*?^\\1\\2 /${mark}( -->)?\\n`, 'gm'), '');
}

/** Removes Markdown table rows and list items about removed scripts or files. */
export function withoutLinesAbout(text, { scripts, paths }) {
  const words = [...scripts.map((script) => `npm run ${script}`), ...paths];
  const isAbout = (line) => words.some((word) => new RegExp(`(\`|\\()${RegExp.escape(word)}(?![\\w:])`).test(line));
  return text.replaceAll(/^(\||- |\d+\. ).*\n/gm, (line) => (isAbout(line) ? '' : line));
}

/** Returns the team's package.json: its name, title and description, without the removed scripts and dependencies. */
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

/** Replaces the title and the introduction of README.md. */
export function withHead(readme, { title, description }) {
  return readme
    .replace(/^# .*\n/, `# ${title}\n`)
    .replace(/^<!-- init -->\n[^]*?^<!-- \/init -->\n/m, `${description.replace(/\.?$/, '.')}\n`);
}

/** Replaces the copyright holder of the license. */
export function withHolder(licence, owner) {
  return licence.replace(/^Copyright \(c\) \d+ .*$/m, `Copyright (c) ${new Date().getFullYear()} ${owner}`);
}
