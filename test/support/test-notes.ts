import { createTestApp, type TestApp } from './test-app.js';
import { TestNotesModule } from './test-notes/test-notes.module.js';

export interface TestNote {
  id: string;
  title: string;
  version: number;
}

/** Starts the application with the test notes, a feature that tests the platform independently of the service's features. */
export async function createTestNotesApp(options: Parameters<typeof createTestApp>[0] = {}): Promise<TestApp> {
  const sut = await createTestApp({ ...options, modules: [TestNotesModule] });
  await sut.database.query(
    `CREATE TABLE IF NOT EXISTS test_notes (
       id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
       title text COLLATE "C" NOT NULL CONSTRAINT "UQ_test_notes_title" UNIQUE,
       due_at timestamptz(3),
       done boolean NOT NULL DEFAULT false,
       shares integer NOT NULL DEFAULT 0,
       created_by text NOT NULL DEFAULT 'test',
       version integer NOT NULL DEFAULT 1,
       created_at timestamptz(3) NOT NULL DEFAULT now())`,
  );
  return sut;
}

let count = 0;

/** Creates a note over HTTP. */
export async function createTestNote({ http }: Pick<TestApp, 'http'>, fields: object = {}): Promise<TestNote> {
  const { body } = await http
    .post('/v1/test-notes')
    .send({ title: `Note ${++count}`, ...fields })
    .expect(201);
  return body;
}
