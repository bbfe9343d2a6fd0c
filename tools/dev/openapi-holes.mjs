// Finds parts of openapi.json without a type, which the compiler plugin of @nestjs/swagger leaves without a message.

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];
const EMPTY_STATUSES = new Set(['204', '205']);
const RESPONSE_REMEDY =
  'Return a class (not generic, not a union) or add @ApiOkResponse({ type: … }); without a body, add @HttpCode(204); ' +
  'for a file or text, add @ApiOkResponse({ content: … }); for a redirect, add @ApiFoundResponse()';
const PROPERTY_REMEDY =
  'Declare a class, an array, a primitive type or Record<string, unknown>, or add @ApiProperty({ type: … })';
const PARAMETER_REMEDY = 'Declare a primitive type, an array, an enum or a DTO, or add @ApiQuery({ name, type })';

/**
 * Returns one line for each response, body, parameter or property without a type, with the remedy.
 *
 * @param {{ paths: object, components?: { schemas?: object } }} document
 * @returns {string[]}
 */
export function holesOf(document) {
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => [`${method.toUpperCase()} ${path}`, item[method]]),
  );
  const schemas = Object.entries(document.components?.schemas ?? {});
  return [
    ...operations.flatMap(([route, operation]) => holesOfOperation(route, operation)),
    ...schemas.flatMap(([name, schema]) =>
      untypedIn(schema, name).map((place) => `${place} has no type. ${PROPERTY_REMEDY}.`),
    ),
  ];
}

function holesOfOperation(route, { parameters = [], requestBody, responses }) {
  return [
    ...parameters.flatMap(({ name, in: location, schema = {} }) =>
      untypedIn(schema, `${route}: the ${location} parameter "${name}"`).map(
        (place) => `${place} has no type. ${PARAMETER_REMEDY}.`,
      ),
    ),
    ...untypedContent(requestBody, `${route}: the request body`).map(
      (place) => `${place} has no type. Declare a DTO, or add @ApiBody({ type: … }).`,
    ),
    ...holesOfResponses(route, responses),
  ];
}

function holesOfResponses(route, responses) {
  const statuses = Object.keys(responses);
  if (statuses.some((status) => /^30[12378]$/.test(status))) return []; // a redirect
  return statuses
    .filter((status) => status.startsWith('2') && !EMPTY_STATUSES.has(status))
    .flatMap((status) => {
      const response = responses[status];
      const place = `${route}: the ${status} response`;
      const places = response.content ? untypedContent(response, place) : [place];
      return places.map((each) => `${each} has no type. ${RESPONSE_REMEDY}.`);
    });
}

function untypedContent(part, place) {
  return Object.values(part?.content ?? {}).flatMap(({ schema = {} }) => untypedIn(schema, place));
}

/** Returns the places in a schema that allow any value. */
function untypedIn(schema, place) {
  const { type, properties = {}, items, additionalProperties } = schema;
  const isTyped = ['$ref', 'allOf', 'oneOf', 'anyOf', 'not', 'enum'].some((key) => key in schema);
  const isOpenObject = type === 'object' && !schema.properties && additionalProperties === undefined;
  if (!isTyped && (type === undefined || isOpenObject)) return [place];
  return [
    ...Object.entries(properties).flatMap(([name, property]) => untypedIn(property, `${place}.${name}`)),
    ...(type === 'array' ? untypedIn(items ?? {}, `${place}[]`) : []),
    ...(typeof additionalProperties === 'object' ? untypedIn(additionalProperties, `${place}.*`) : []),
  ];
}
