// What breaks the clients of an OpenAPI document.
import { createHash } from 'node:crypto';
import openapiDiff from 'openapi-diff';

/** What of a document's promises another one breaks: the places, in words that stay the same from run to run. */
export async function breaksBetween(before, after) {
  const spec = (document, location) => ({ content: JSON.stringify(asBodies(document)), location, format: 'openapi3' });
  const { breakingDifferences = [] } = await openapiDiff.diffSpecs({
    sourceSpec: spec(before, 'before'),
    destinationSpec: spec(after, 'after'),
  });
  return breakingDifferences.map(describe).toSorted((a, b) => (a < b ? -1 : 1));
}

/** The place, and a sum of what has changed there, so that to accept it accepts nothing that comes later. */
function describe({ code, sourceSpecEntityDetails, destinationSpecEntityDetails, details }) {
  const [{ location }] = [...sourceSpecEntityDetails, ...destinationSpecEntityDetails];
  const sum = createHash('sha256')
    .update(JSON.stringify(details ?? null))
    .digest('hex')
    .slice(0, 6);
  return `${code} ${location} (${sum})`;
}

/**
 * The document as openapi-diff can judge it. It looks into bodies only, so parameters are shown as one; and it knows
 * neither enums nor null. What it cannot see at all are patterns and formats.
 * https://bitbucket.org/atlassian/json-schema-diff/src/master/KEYWORDS.md
 */
function asBodies(document) {
  const paths = {};
  for (const [path, item] of Object.entries(document.paths)) {
    paths[path] = item;
    for (const [method, { parameters = [] }] of Object.entries(item)) {
      for (const [place, some] of Object.entries(Object.groupBy(parameters, (parameter) => parameter.in))) {
        const content = { 'application/json': { schema: objectOf(some) } };
        const post = { requestBody: { content }, responses: { 204: { description: 'none' } } };
        paths[`${path} ${method} ${place}`] = { post };
      }
    }
  }
  return withLiterals({ ...document, paths });
}

function objectOf(parameters) {
  const required = parameters.filter((parameter) => parameter.required).map(({ name }) => name);
  return {
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries(parameters.map(({ name, schema }) => [name, schema])),
    ...(required.length > 0 && { required }), // an empty list is no OpenAPI
  };
}

/** Values that have a name of their own stand for it as a property of an object. */
const literals = (values) => ({
  type: 'object',
  additionalProperties: false,
  minProperties: 1,
  properties: Object.fromEntries(values.map((value) => [`= ${value}`, { type: 'boolean' }])),
});

function withLiterals(value) {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(withLiterals);
  const { nullable, ...schema } = value;
  const shown = Array.isArray(schema.enum)
    ? literals(schema.enum)
    : Object.fromEntries(Object.entries(schema).map(([key, child]) => [key, withLiterals(child)]));
  return nullable === true ? { anyOf: [shown, literals([null])] } : shown;
}
