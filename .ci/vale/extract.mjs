// Extracts the prose of a source file: comments, messages and test titles, with the position of each line.
import ts from 'typescript';
import { Lexer, parseAllDocuments, visit } from 'yaml';

/**
 * @typedef {object} Passage one paragraph
 * @property {'comment' | 'message' | 'title'} kind
 * @property {string} text on one line, with code masked by asterisks of the same length
 * @property {{ offset: number, line: number, column: number }[]} marks the origin of each part of the text
 */

const TEST_CALLS = /^(describe|it|test|suite)$/;
// Arguments of these functions are messages even if they are short.
const MESSAGE_CALLS =
  /(^|\.)(log|info|warn|error|fatal|fail|skip|defineProblem|buildMessage)$|(Error|Exception|Problem)$/;
// The same for the values of these properties.
const MESSAGE_PROPERTIES = /^(title|detail|message|summary|description|cause|fix|reason|hint|x-prompt)$/;
const SQL =
  /^\s*(ALTER|BEGIN|COMMENT|COMMIT|CREATE|DELETE|DO|DROP|EXPLAIN|GRANT|INSERT|LOCK|REVOKE|SELECT|SET|SHOW|UPDATE|WITH)\s/;
// Instructions to other linters, the marks that `npm run init` reads, and rulers.
const DIRECTIVE = /^(@ts-|[a-z]+lint|shellcheck |prettier-|!|syntax=|\/?(init|template)$|[\s─—=*-]*$)/;
// Tokens of the YAML lexer without a counterpart in the source.
const YAML_MARKS = new Set(['\u0002', '\u0018', '\u001F']);
const SKIPPED_TAGS = /^@(default|example|format|minimum|maximum|see|template|type|typedef)\b/;

/**
 * Returns the prose of a file; nothing for a file type without rules.
 *
 * @param {string} file its path decides on the language, and whether it is a test
 * @param {string} source
 * @returns {Passage[]}
 */
export function extract(file, source) {
  const passages = languageOf(file)?.(source, file) ?? [];
  return passages.filter(({ text }) => /\p{L}{2}/u.test(text));
}

function languageOf(file) {
  const name = file.replace(/\.template$/, '');
  if (/\.(ts|mts|js|mjs|cjs|json)$/.test(name)) return fromTypeScript;
  if (/\.(sh|bash)$|(^|\/)\.ci\/run$/.test(name)) return fromShell;
  if (/\.ya?ml$/.test(name)) return fromYaml;
  if (name.endsWith('.sql')) return (source) => lineComments(source, /^\s*--/);
  if (/\.toml$|(^|\/)(Dockerfile|\.env\.example|grants\.txt)$/.test(name))
    return (source) => lineComments(source, /^\s*#/);
  return undefined;
}

// ── TypeScript, JavaScript and JSON ────────────────────────────────────────────────────────────────────────────────

function fromTypeScript(source, file) {
  const text = file.endsWith('.template') ? withoutTags(source) : source;
  const tree = ts.createSourceFile(file.replace(/\.template$/, ''), text, ts.ScriptTarget.Latest, true);
  const isTest = /(^|\/)test\/|[.-](spec|test)\.m?[jt]s$/.test(file);
  // The stand-in repeats the messages of gcloud and GitHub.
  const withMessages = !isTest && !/(^|\/)(standin|fake-gcloud)\//.test(file);
  const passages = [];
  const seen = new Set();

  const visitNode = (node) => {
    if (ts.isJSDoc(node)) return;
    const children = node.getChildren(tree);
    if (children.length === 0) addComments(node);
    const title = titleOf(node);
    if (title) addString(title, 'title');
    else if (withMessages && isOutermostString(node) && isMessage(node, tree)) addString(node, 'message');
    children.forEach(visitNode);
  };

  const addComments = (token) => {
    const shebang = token.pos === 0 ? (ts.getShebang(text)?.length ?? 0) : 0;
    for (const { pos, end, kind } of [
      ...(ts.getLeadingCommentRanges(text, Math.max(token.pos, shebang)) ?? []),
      ...(ts.getTrailingCommentRanges(text, token.end) ?? []),
    ]) {
      if (seen.has(pos)) continue;
      seen.add(pos);
      comments.push({ start: pos, end, isBlock: kind === ts.SyntaxKind.MultiLineCommentTrivia });
    }
  };

  const addString = (node, kind) => {
    if (seen.has(node.getStart(tree))) return;
    passages.push(...stringPassages(text, tree, node, kind, seen));
  };

  const comments = [];
  visitNode(tree);
  comments.sort((one, other) => one.start - other.start);
  return [...commentPassages(text, comments), ...passages];
}

/** The tags of the generator's templates, masked. */
function withoutTags(source) {
  return source
    .replaceAll(/<%=.*?%>/gs, (tag) => tag.replaceAll(/[^\n]/g, 'X'))
    .replaceAll(/<%.*?%>/gs, (tag) => tag.replaceAll(/[^\n]/g, ' '));
}

function titleOf(node) {
  if (!ts.isCallExpression(node)) return undefined;
  let callee = node.expression;
  while (ts.isCallExpression(callee) || ts.isPropertyAccessExpression(callee)) callee = callee.expression;
  const [first] = node.arguments;
  return TEST_CALLS.test(callee.getText()) && first && isString(first) ? first : undefined;
}

function isString(node) {
  return ts.isStringLiteralLike(node) || ts.isTemplateExpression(node) || isConcatenation(node);
}

function isConcatenation(node) {
  return (
    ts.isBinaryExpression(node) &&
    node.operatorToken.kind === ts.SyntaxKind.PlusToken &&
    (isString(node.left) || isString(node.right))
  );
}

function isOutermostString(node) {
  return isString(node) && !isConcatenation(node.parent) && !ts.isTaggedTemplateExpression(node.parent);
}

/** Messages are the arguments of known functions, the values of known properties and, except in JSON, other sentences. */
function isMessage(node, tree) {
  const text = maskCode(node.getText(tree).replaceAll(/\$\{[^}]*\}/g, '*'));
  if (SQL.test(text.slice(1))) return false;
  const words = text.split(/\s+/);
  const plain = words.filter((word) => /^['"`(“]*\p{L}[\p{L}'’-]*[.,:;?!)”'"`]*$/u.test(word));
  if (!ts.isJsonSourceFile(tree) && plain.length >= 4 && plain.length / words.length > 0.6) return true;
  return plain.length >= 2 && isGivenAsMessage(node);
}

function isGivenAsMessage(node) {
  let { parent } = node;
  while (ts.isConditionalExpression(parent) || ts.isParenthesizedExpression(parent) || ts.isArrowFunction(parent))
    parent = parent.parent;
  if (ts.isCallExpression(parent) || ts.isNewExpression(parent)) return MESSAGE_CALLS.test(parent.expression.getText());
  return ts.isPropertyAssignment(parent) && MESSAGE_PROPERTIES.test(parent.name.text);
}

/** The lines of a string, as they are written. The operands of a concatenation make one passage. */
function stringPassages(text, tree, node, kind, seen) {
  const pieces = [];
  const collect = (part) => {
    if (isConcatenation(part)) {
      collect(part.left);
      collect(part.right);
    } else if (isString(part)) {
      seen.add(part.getStart(tree));
      pieces.push({ start: part.getStart(tree) + 1, text: contentOf(text, tree, part) });
    }
  };
  collect(node);
  const lines = pieces.flatMap(({ start, text: content }) => linesOf(text, start, content));
  if (pieces.length > 1) return [passage(kind, lines)];
  // One passage per line, and per column of a help text.
  return lines.flatMap((line) => columnsOf(line).map((column) => passage(kind, [column])));
}

function contentOf(text, tree, node) {
  const start = node.getStart(tree) + 1;
  let content = text.slice(start, node.end - 1);
  if (ts.isTemplateExpression(node)) {
    for (const { expression, literal } of node.templateSpans) {
      const from = expression.pos - start - 2;
      const to = literal.getStart(tree) + 1 - start;
      content = content.slice(0, from) + masked(content.slice(from, to)) + content.slice(to);
    }
  }
  return content.replaceAll('\\n', ' \n').replaceAll(/\\(['"`])/g, '$1');
}

function columnsOf({ text, line, column }) {
  return [...text.matchAll(/\S+(?: \S+)*/g)].map((match) => ({ text: match[0], line, column: column + match.index }));
}

// ── Shell ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function fromShell(source) {
  const { comments, strings } = scanShell(source);
  return [...commentPassages(source, comments), ...strings.flatMap((string) => shellMessage(source, string))];
}

function shellMessage(source, { start, end }) {
  const content = source
    .slice(start, end)
    .replaceAll(/\$\((?:[^()]|\([^()]*\))*\)|\$\{[^}]*\}|\$\w+/g, masked)
    .replaceAll('\\"', ' "');
  return linesOf(source, start, content)
    .flatMap(columnsOf)
    .filter(({ text }) => {
      const words = text.split(' ');
      const plain = words.filter((word) => /^["(“]?\p{L}[\p{L}'’-]*[.,:;?!)”"]*$/u.test(word));
      return plain.length >= 3 && plain.length / words.length > 0.6 && !SQL.test(text);
    })
    .map((line) => passage('message', [line]));
}

/** Finds the comments, the quoted strings and the here-documents of a script. */
function scanShell(source) {
  const comments = [];
  const strings = [];
  const documents = [];
  let index = 0;

  const skipTo = (end) => {
    const found = source.indexOf(end, index);
    index = found < 0 ? source.length : found;
  };

  const readDoubleQuoted = () => {
    const start = ++index;
    while (index < source.length && source[index] !== '"') {
      if (source[index] === '\\') index += 2;
      else if (source.startsWith('$(', index)) {
        index += 2;
        readCommands(')');
      } else index++;
    }
    strings.push({ start, end: index++ });
  };

  const readDocuments = () => {
    for (const { word } of documents.splice(0)) {
      const start = index + 1;
      const end = new RegExp(`^\\t*${word}$`, 'm').exec(source.slice(start));
      if (!end) return;
      strings.push({ start, end: start + end.index });
      index = start + end.index + end[0].length;
    }
  };

  function readCommands(end) {
    let depth = 0;
    while (index < source.length) {
      const character = source[index];
      const heredoc = /^<<-?\s*(['"]?)(\w+)\1/.exec(source.slice(index, index + 40));
      if (character === '\\') index += 2;
      else if (character === '#' && /^$|[\s;(]/.test(source[index - 1] ?? '')) {
        const start = index;
        skipTo('\n');
        comments.push({ start, end: index });
      } else if (character === "'") {
        const start = ++index;
        skipTo("'");
        strings.push({ start, end: index++ });
      } else if (character === '"') readDoubleQuoted();
      else if (source.startsWith('<<<', index)) index += 3;
      else if (heredoc) {
        documents.push({ word: heredoc[2] });
        index += heredoc[0].length;
      } else if (character === '\n' && documents.length > 0) readDocuments();
      else {
        if (character === '(') depth++;
        if (character === ')' && depth-- === 0 && end === ')') {
          index++;
          return;
        }
        if (depth < 0) depth = 0; // the pattern of a case
        index++;
      }
    }
  }

  readCommands();
  return { comments, strings: strings.toSorted((one, other) => one.start - other.start) };
}

// ── YAML and files with line comments ──────────────────────────────────────────────────────────────────────────────

function fromYaml(source) {
  const comments = [];
  let offset = 0;
  for (const token of new Lexer().lex(source)) {
    if (token.startsWith('#')) comments.push({ start: offset, end: offset + token.length });
    if (!YAML_MARKS.has(token)) offset += token.length;
  }
  const messages = [];
  for (const document of parseAllDocuments(source)) {
    visit(document, {
      Pair(_, { key, value }) {
        if (typeof value?.value !== 'string') return;
        const [start, end] = value.range;
        if (key.value === 'run' && value.type === 'BLOCK_LITERAL') {
          const script = fromShell(source.slice(start, end));
          const { line } = positionOf(source, start);
          for (const { marks } of script) for (const mark of marks) mark.line += line - 1;
          messages.push(...script);
        } else if (/^(name|description)$/.test(key.value) && value.value.includes(' ')) {
          messages.push(passage('message', linesOf(source, start, source.slice(start, end))));
        }
      },
    });
  }
  return [...commentPassages(source, comments), ...messages];
}

function lineComments(source, pattern) {
  const comments = [];
  let offset = 0;
  for (const line of source.split('\n')) {
    if (pattern.test(line)) comments.push({ start: offset + line.search(/\S/), end: offset + line.length });
    offset += line.length + 1;
  }
  return commentPassages(source, comments);
}

// ── Comments ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** Comments on successive lines make one passage. A blank line, a list item or a tag begins another. */
function commentPassages(source, comments) {
  const passages = [];
  let current = [];
  let previous;
  const flush = () => {
    if (current.length > 0) passages.push(passage('comment', current));
    current = [];
  };
  for (const comment of comments) {
    const { line, column } = positionOf(source, comment.start);
    const isAlone = source.slice(comment.start - column + 1, comment.start).trim() === '';
    const continues = previous && isAlone && previous.isAlone && line === previous.line + 1 && !comment.isBlock;
    if (!continues) flush();
    previous = { isAlone, line };
    let isSkipped = false;
    for (const each of linesOf(source, comment.start, source.slice(comment.start, comment.end))) {
      const marker = /^\s*(\/\*\*?|\*(?!\/)|\/\/|#+|--)?\s*/.exec(each.text)[0].length;
      const text = each.text.slice(marker).replace(/\s*\*\/$/, '');
      const tag = /^@\w+( \{.*?\})?( (?<=@(?:param|property) .*)\[?[\w.]+\]?)?\s*/.exec(text)?.[0] ?? '';
      if (tag) isSkipped = SKIPPED_TAGS.test(text);
      if (tag || text === '' || /^([-*•]|\d+\.)\s/.test(text)) flush();
      if (text === '' || isSkipped || DIRECTIVE.test(text)) continue;
      const cut = marker + tag.length;
      current.push({ text: text.slice(tag.length), line: each.line, column: each.column + cut });
    }
  }
  flush();
  return passages;
}

// ── Positions and masks ────────────────────────────────────────────────────────────────────────────────────────────

function positionOf(source, offset) {
  const before = source.slice(0, offset);
  return { line: before.split('\n').length, column: offset - before.lastIndexOf('\n') };
}

/** The lines of a text that begins at an offset. A line break that is an escape sequence leaves the line's number. */
function linesOf(source, offset, content) {
  let { line, column } = positionOf(source, offset);
  return content.split('\n').map((text) => {
    const result = { text, line, column };
    const isEscape =
      text.endsWith(' ') && source[offset + text.length] !== '\n' && source.startsWith('\\n', offset + text.length - 1);
    offset += text.length + 1;
    if (isEscape) column += text.length + 1;
    else [line, column] = [line + 1, 1];
    return result;
  });
}

function passage(kind, lines) {
  let offset = 0;
  const marks = lines.map(({ text, line, column }) => {
    const mark = { offset, line, column };
    offset += text.length + 1;
    return mark;
  });
  return { kind, text: maskCode(lines.map(({ text }) => text).join(' ')), marks };
}

/** Masks code in backticks, addresses, paths, options and names with an underscore, a slash or the like. */
function maskCode(text) {
  return text
    .replaceAll(/`[^`]+`/g, masked)
    .replaceAll(/https?:\/\/\S+/g, masked)
    .replaceAll(/(?<=^|[\s("“'])-{1,2}[a-z][\w-]*/g, masked)
    .replaceAll(/[^\s("“'*]*[\w*](?:[_/\\@$={}<>|[\]#~^+&]|[.:](?=[\w*]))[^\s"”']*(?<![.,:;?!)])/g, masked);
}

function masked(code) {
  return code.replaceAll(/[^\n]/g, '*');
}
