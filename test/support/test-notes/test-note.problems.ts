import { defineProblem } from '../../../src/platform/problems/problem.js';

export const testNoteNotFound = defineProblem('test_note_not_found', 404, 'Test note not found');
export const testNoteDone = defineProblem('test_note_done', 409, 'Test note already done');
export const testNoteTitleTaken = defineProblem('test_note_title_taken', 409, 'Title already in use', {
  name: 'UQ_test_notes_title',
  field: 'title',
});
