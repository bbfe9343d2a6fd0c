import { createHash } from 'node:crypto';
import openapiDiff from 'openapi-diff';

/**
 * Returns the breaking changes between two OpenAPI documents, in a text that is the same in every run.
 *
 * @param {object} before
 * @param {object} after
 * @returns {Promise<string[]>}
 */
export async function breaksBetween(before, after) {
  const spec = (document, location) => ({ content: JSON.stringify(asBodies(document)), location, format: 'openapi3' });
  const { breakingDifferences = [] } = await openapiDiff.diffSpecs({
    sourceSpec: spec(before, 'before'),
    destinationSpec: spec(after, 'after'),
  });
  return breakingDifferences.map(describe).toSorted((a, b) => (a < b ? -1 : 1));
}

/** The hash of the change is part of the text: an accepted change does not cover a later one at the same location. */
function describe({ code, sourceSpecEntityDetails, destinationSpecEntityDetails, details }) {
  const [{ location }] = [...sourceSpecEntityDetails, ...destinationSpecEntityDetails];
  const hash = createHash('sha256')
    .update(JSON.stringify(details ?? null))
    .digest('hex')
    .slice(0, 6);
  return `${code} ${location} (${hash})`;
}

/**
 * Converts a document for openapi-diff, which compares bodies only and ignores enums and null: parameters become a body.
 * Patterns and formats are not compared.
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
    ...(required.length > 0 && { required }), // OpenAPI forbids an empty list
  };
}

/** An object with a property for each value of an enum. */
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
