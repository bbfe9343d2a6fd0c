import { describe, expect, it } from '@jest/globals';
import { holesOf } from '../../tools/dev/openapi-holes.mjs';

const json = (schema: object) => ({ content: { 'application/json': { schema } } });

/** Returns the holes of a document with one operation, without their remedies. */
const holesIn = (operation: object, schemas: object = {}) =>
  holesOf({ paths: { '/v1/a': { post: { responses: {}, ...operation } } }, components: { schemas } }).map((line) =>
    line.replace(/ has no type\. [A-Z].*\.$/, ''),
  );

const OPEN = { type: 'object' };

describe('holesOf', () => {
  it.each([
    ['no content', {}],
    ['an empty schema', json({})],
    ['an object of unknown properties', json(OPEN)],
  ])('finds a response with %s', (_, response) => {
    expect(holesIn({ responses: { 201: response } })).toEqual(['POST /v1/a: the 201 response']);
  });

  it.each([
    ['an array of unknown items', json({ type: 'array', items: OPEN }), '[]'],
    ['a map of unknown values', json({ type: 'object', additionalProperties: {} }), '.*'],
    ['an unknown property', json({ type: 'object', properties: { a: {} } }), '.a'],
  ])('finds a response with %s', (_, response, place) => {
    expect(holesIn({ responses: { 200: response } })).toEqual([`POST /v1/a: the 200 response${place}`]);
  });

  it.each([
    ['a 204', { 204: {} }],
    ['a redirect', { 200: {}, 302: {} }],
    ['a reference', { 200: json({ $ref: '#/components/schemas/A' }) }],
    [
      'a nullable reference',
      { 200: json({ nullable: true, type: 'object', allOf: [{ $ref: '#/components/schemas/A' }] }) },
    ],
    ['any JSON object', { 200: json({ type: 'object', additionalProperties: true }) }],
    ['a file', { 200: { content: { 'image/png': { schema: { type: 'string', format: 'binary' } } } } }],
    ['a problem', { 400: {} }],
  ])('accepts %s', (_, responses) => {
    expect(holesIn({ responses })).toEqual([]);
  });

  it('finds parameters, bodies and properties', () => {
    const parameters = [
      { in: 'query', name: 'a', schema: {} },
      { in: 'query', name: 'b', schema: { type: 'string' } },
    ];
    const schemas = { ADto: { type: 'object', properties: { b: OPEN, c: { enum: ['x'] }, d: { type: 'string' } } } };
    expect(holesIn({ parameters, requestBody: json({}) }, schemas)).toEqual([
      'POST /v1/a: the query parameter "a"',
      'POST /v1/a: the request body',
      'ADto.b',
    ]);
  });
});
