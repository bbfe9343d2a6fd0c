// ${{ … }} and `if:` of a workflow, by GitHub's own evaluator.
import { data, Evaluator, Lexer, Parser } from '@actions/expressions';

const STATUS_FUNCTIONS = ['always', 'cancelled', 'failure', 'success'];

function evaluate(expression, contexts, status) {
  const { tokens } = new Lexer(expression).lex();
  const functions = STATUS_FUNCTIONS.map((name) => ({
    name,
    minArgs: 0,
    maxArgs: 0,
    call: () => new data.BooleanData(status[name]),
  }));
  const tree = new Parser(tokens, Object.keys(contexts), functions).parse();
  const values = JSON.parse(JSON.stringify(contexts), data.reviver);
  return new Evaluator(tree, values, new Map(functions.map((definition) => [definition.name, definition]))).evaluate();
}

/** The text with the values of its expressions in their place. */
export function fill(text, contexts) {
  return String(text).replaceAll(/\$\{\{(.*?)\}\}/gs, (_, expression) =>
    evaluate(expression, contexts, {}).coerceString(),
  );
}

export const fillAll = (map, contexts) =>
  Object.fromEntries(Object.entries(map ?? {}).map(([name, text]) => [name, fill(text, contexts)]));

/** Whether a step or job runs: without a status function in it, only after success. */
export function holds(condition, contexts, { result }) {
  const status = {
    always: true,
    cancelled: result === 'cancelled',
    failure: result === 'failure',
    success: result === 'success',
  };
  const expression = String(condition ?? 'success()').replace(/^\s*\$\{\{(.*)\}\}\s*$/s, '$1');
  const named = STATUS_FUNCTIONS.some((name) => new RegExp(String.raw`\b${name}\s*\(`).test(expression));
  return evaluate(named ? expression : `success() && (${expression})`, contexts, status).coerceString() === 'true';
}
