// Reads a module without running it: the paths that it computes from its own place, and what it loads.
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parse } from 'acorn';
import { ancestor } from 'acorn-walk';

/** Stands for a part of a path that is known only at run time, such as the variable in `./templates/${name}.hbs`. */
export const UNKNOWN = '_UNKNOWN_';

/** Parses an ES module, or a script, which may have syntax that strict mode forbids. */
export function parseModule(source) {
  const options = { ecmaVersion: 'latest', allowReturnOutsideFunction: true, allowHashBang: true };
  try {
    return parse(source, { ...options, sourceType: 'module' });
  } catch {
    return parse(source, { ...options, sourceType: 'script' });
  }
}

/**
 * @param {string} source
 * @param {string} file the absolute path from which the module computes others
 * @returns {{ imports: string[], requires: object[], places: Place[], paths: Path[], loads: Load[], calls: object[], literals: object[], awaits: object[] }} `imports` are
 *   static, `requires` the names of functions that createRequire() returns, and `awaits` the top-level ones.
 *
 * @typedef {{ node: object, property: string }} Place import.meta.PROPERTY, `__dirname` or `__filename`
 * @typedef {{ node: object, path: string, parent: object }} Path the largest expression whose value follows from a place
 * @typedef {{ node: object, kind: string, specifier: string }} Load a call of require() or import()
 */
export function inspectModule(source, file) {
  const constants = new Map();
  const requires = new Set(['require']);
  const found = { imports: [], requires: [], places: [], paths: [], loads: [], calls: [], literals: [], awaits: [] };
  const references = [];
  const keep = (node, _state, ancestors) => references.push([node, ancestors.slice(0, -1).toReversed()]);
  const keepAwait = (node, _state, ancestors) => {
    if (!ancestors.some(({ type }) => type.includes('Function'))) found.awaits.push(node);
  };
  const specifiers = new Set();
  const keepImport = ({ source: imported }) => {
    if (!imported) return;
    found.imports.push(imported.value);
    specifiers.add(imported);
  };
  ancestor(parseModule(source), {
    VariableDeclaration({ kind, declarations }) {
      for (const { id, init } of declarations) {
        // Constants with the same name in different scopes are not followed.
        constants.set(id.name, kind === 'const' && !constants.has(id.name) ? init : undefined);
        if (calleeOf(init) !== 'createRequire') continue;
        requires.add(id.name);
        found.requires.push(id);
      }
    },
    ImportDeclaration: keepImport,
    ExportNamedDeclaration: keepImport,
    ExportAllDeclaration: keepImport,
    MetaProperty: keep,
    Identifier: keep,
    CallExpression: keep,
    ImportExpression: keep,
    AwaitExpression: keepAwait,
    ForOfStatement: (node, ...context) => node.await && keepAwait(node, ...context),
    Literal: (node) => typeof node.value === 'string' && found.literals.push(node),
  });

  for (const [node, parents] of references) {
    if (node.type === 'MetaProperty') {
      const [member] = parents;
      const { name: property } = member.property;
      found.places.push({ node: member, property });
      addPath(member, parents.slice(1));
    } else if (node.type === 'Identifier') {
      if (['__dirname', '__filename'].includes(node.name)) found.places.push({ node, property: node.name });
      addPath(node, parents);
    } else {
      addLoad(node);
    }
  }
  found.literals = found.literals.filter((node) => !specifiers.has(node));
  return found;

  /** Climbs from a place to the largest expression that has a value. */
  function addPath(node, parents) {
    if (!evaluate(node)?.isOwn) return;
    const end = parents.findIndex((parent) => !evaluate(parent));
    const largest = parents[end - 1] ?? node;
    found.paths.push({ node: largest, path: pathOf(evaluate(largest).text), parent: parents[end] });
  }

  function addLoad(node) {
    const { callee, source: imported = node.arguments?.[0] } = node;
    const specifier = evaluate(imported)?.text ?? UNKNOWN;
    const load = (kind) => {
      found.loads.push({ node, kind, specifier });
      specifiers.add(imported);
    };
    if (node.type === 'ImportExpression') load('import');
    else if (requires.has(callee.name)) load('require');
    else if (callee.property?.name === 'resolve' && requires.has(callee.object.name)) load('require.resolve');
    else found.calls.push(node);
  }

  /** Returns the value of an expression, and whether it follows from the place of the module; otherwise undefined. */
  function evaluate(node, names = []) {
    const own = (text) => ({ text, isOwn: true });
    const combine = (parts, combination) => {
      const values = parts.map((part) => evaluate(part, names));
      if (!values.some(Boolean)) return undefined;
      const text = combination(...values.map((value) => value?.text ?? UNKNOWN));
      return text === undefined ? undefined : { text, isOwn: values.some((value) => value?.isOwn) };
    };
    switch (node?.type) {
      case 'Literal':
        return typeof node.value === 'string' ? { text: node.value, isOwn: false } : undefined;
      case 'TemplateLiteral': {
        const texts = node.quasis.map(({ value }) => ({ type: 'Literal', value: value.cooked }));
        const parts = texts.flatMap((text, index) => [text].concat(node.expressions.slice(index, index + 1)));
        return combine(parts, (...values) => values.join(''));
      }
      case 'BinaryExpression':
        return node.operator === '+' ? combine([node.left, node.right], (left, right) => left + right) : undefined;
      case 'Identifier':
        if (node.name === '__dirname') return own(dirname(file));
        if (node.name === '__filename') return own(file);
        return names.includes(node.name) ? undefined : evaluate(constants.get(node.name), [...names, node.name]);
      case 'MemberExpression':
        if (node.object.type === 'MetaProperty') {
          const places = { url: pathToFileURL(file).href, dirname: dirname(file), filename: file };
          return places[node.property.name] && own(places[node.property.name]);
        }
        return ['href', 'pathname'].includes(node.property.name) ? evaluate(node.object, names) : undefined;
      case 'NewExpression':
        return calleeOf(node) === 'URL' && node.arguments.length === 2
          ? combine(node.arguments, (path, base) => (URL.canParse(base) ? new URL(path, base).href : undefined))
          : undefined;
      case 'CallExpression':
        switch (calleeOf(node)) {
          case 'join':
            return combine(node.arguments, (...parts) => join(...parts));
          case 'resolve':
            return combine(node.arguments, (...parts) => resolve(...parts));
          case 'dirname':
            return combine(node.arguments, (path) => dirname(pathOf(path)));
          case 'fileURLToPath':
          case 'pathToFileURL':
          case 'normalize':
          case 'String':
            return combine(node.arguments, (path) => path);
          case 'toString':
            return evaluate(node.callee.object, names);
          default:
            return undefined;
        }
      default:
        return undefined;
    }
  }
}

/**
 * Whether the module of a package reads files next to it, which the bundle does not have: scripts of worker threads, fonts,
 * binaries.
 */
export function readsOwnFiles(source) {
  if (!/__dirname|__filename|import\.meta|require\.resolve/.test(source)) return false;
  let found = false;
  ancestor(parseModule(source), {
    Identifier({ name }, _state, [...ancestors]) {
      const parent = ancestors.at(-2);
      if (['__dirname', '__filename'].includes(name) && parent.operator !== 'typeof') found = true;
    },
    MetaProperty(_node, _state, [...ancestors]) {
      const [parent, call] = ancestors.slice(-4);
      // The bundle contains what a function with the name require() loads: showRequires() in bundle.mjs.
      const isVisible = parent.id?.name === 'require' || parent.arguments?.[0]?.type === 'Identifier';
      if (calleeOf(call) !== 'createRequire' || !isVisible) found = true;
    },
    CallExpression({ callee }) {
      if (callee.property?.name === 'resolve' && callee.object.name === 'require') found = true;
    },
  });
  return found;
}

/** The name of the function that an expression calls: `join` of both join() and path.join(). */
export const calleeOf = (node) => node?.callee?.name ?? node?.callee?.property?.name;

const pathOf = (text) => (text.startsWith('file:') ? fileURLToPath(text) : text);
