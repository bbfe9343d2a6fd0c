import { describe, expect, it } from '@jest/globals';
import { describeStatement } from './sql-text.js';

const textOf = (sql: string) => describeStatement(sql)['db.query.text'];

describe('describeStatement', () => {
  it.each([
    [`SELECT 'x', 'it''s x', 'a' 'x' FROM t`, 'SELECT ?, ?, ? ? FROM t'],
    [String.raw`SELECT 'x\', 'x', 1`, 'SELECT ?, ?, ?'],
    [String.raw`SELECT E'x\'', e'\\', 'x'`, 'SELECT ?, ?, ?'],
    [String.raw`SELECT DATE'\', 'x'`, 'SELECT DATE?, ?'],
    [`SELECT U&'\\0441x', B'101', X'1F', N'x'`, 'SELECT U&?, B?, X?, N?'],
    ['SELECT $$x$$, $tag$ $$ x $Tag$ x $tag$, $é$x$é$', 'SELECT ?, ?, ?'],
    ['SELECT 1, -2.5, .5, 1e5, 0xFF, 1_000, a1, "b 2", $3', 'SELECT ?, -?, ?, ?, ?, ?, a1, "b 2", $3'],
    ['SELECT a -- x\nFROM t', 'SELECT a ? FROM t'],
    ['SELECT a /* x /* x */ x */ FROM t', 'SELECT a ? FROM t'],
    [`SELECT "x'", a$b$c FROM "t"`, `SELECT "x'", a$b$c FROM "t"`],
    [`SELECT 'x`, 'SELECT ?'],
    [`SELECT $$x'`, 'SELECT ?'],
    ['SELECT /* x', 'SELECT ?'],
    ['  SELECT\n  a\n', 'SELECT a'],
  ])('replaces the literals and comments of %s', (sql, text) => {
    expect(textOf(sql)).toBe(text);
  });

  it.each([
    ['SELECT a FROM "test_notes" t', 'SELECT test_notes'],
    ['INSERT INTO notes(a) VALUES ($1)', 'INSERT notes'],
    ['update notes set a = 1', 'UPDATE notes'],
    [`SELECT 'from x'`, 'SELECT'],
    ['SELECT extract(epoch FROM a), extract(epoch FROM least(a, b)) FROM notes', 'SELECT notes'],
    ['SELECT a FROM unnest($1) a', 'SELECT'],
    ['COMMIT', 'COMMIT'],
    ['', 'SQL'],
  ])('names the span of %s', (sql, name) => {
    expect(describeStatement(sql).name).toBe(name);
  });

  it('shortens a long statement in linear time', () => {
    for (const part of [`'`, '"', '$a$', '/*', "E'\\", '$', '1.', '--', 'a']) {
      expect(textOf(`SELECT ${part.repeat(100_000)}`).length).toBeLessThanOrEqual(4_000);
    }
  });
});
