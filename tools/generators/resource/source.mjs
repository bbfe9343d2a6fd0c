import { SchematicsException } from '@angular-devkit/schematics';

/** The text of a generated file, edited in the places that the generator wrote. `…` stands for any text without braces. */
export class Source {
  constructor(tree, path, plural) {
    this.path = path;
    this.plural = plural;
    if (!tree.exists(path)) this.reject('the file');
    this.text = tree.readText(path);
  }

  has(expected) {
    return patternOf(expected).test(this.text);
  }

  /** Replaces the expected text; `replacement` gets the text of `…`. Rejects a file without the expected text. */
  replace(expected, replacement) {
    if (!this.has(expected)) this.reject(expected);
    this.text = this.text.replace(patternOf(expected), (_, others) => replacement(others));
  }

  /** Inserts text before the expected one. */
  before(expected, text) {
    if (!this.has(expected)) this.reject(expected);
    this.text = this.text.replace(patternOf(expected), (found) => text + found);
  }

  /** Inserts members at the end of a class. */
  endOfClass(name, members) {
    const start = `export class ${name} {`;
    if (!this.has(start)) this.reject(start);
    const end = this.text.indexOf('\n}\n', this.text.indexOf(start)) + 1;
    this.text = `${this.text.slice(0, end)}${members}${this.text.slice(end)}`;
  }

  /** Imports names, in addition to those that the file imports from the module. */
  import(module, names, keyword = 'import') {
    const statement = new RegExp(
      String.raw`^${keyword} \{([^}]*)\} from '${module.replaceAll('.', String.raw`\.`)}';\n`,
      'm',
    );
    const [found, imported = ''] = statement.exec(this.text) ?? [];
    const plain = (name) => name.replace('type ', '');
    const present = imported
      .split(',')
      .map((name) => name.trim())
      .filter(Boolean);
    const all = [...present, ...names.filter((name) => !present.map(plain).includes(plain(name)))];
    const sorted = all.toSorted((a, b) => plain(a).localeCompare(plain(b)));
    const text = `${keyword} { ${sorted.join(', ')} } from '${module}';\n`;
    if (found) {
      this.text = this.text.replace(found, text);
      return;
    }
    const imports = [...this.text.matchAll(/^import [^;]* from '([^']+)';\n/gm)];
    const next = imports.find(([, other]) => sortKey(other) > sortKey(module));
    const last = imports.at(-1);
    const position = next?.index ?? last.index + last[0].length;
    this.text = this.text.slice(0, position) + text + this.text.slice(position);
  }

  reject(missing) {
    throw new SchematicsException(
      `${this.path} differs from the generated code: ${missing} is missing. Add ${this.plural} by hand: docs/development.md#nested-rows. Nothing was written`,
    );
  }
}

/** Packages come before files. */
const sortKey = (module) => (module.startsWith('.') ? `~${module}` : module);

/** Matches the text with any whitespace and line breaks, and with trailing commas. */
function patternOf(text) {
  const tokens = text.match(/\w+|[^\s\w]/g).map((token) => {
    if (token === '…') return '([^{}]*?)';
    return token === ')' ? String.raw`(?:,\s*)?\)` : token.replace(/\W/, String.raw`\$&`);
  });
  return new RegExp(tokens.join(String.raw`\s*`));
}
