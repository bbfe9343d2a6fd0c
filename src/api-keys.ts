import './platform/lifecycle/report-crashes.js'; // first, because it also reports failed imports
import { parseArgs } from 'node:util';
import type { Repository } from 'typeorm';
import { createApiKey } from './platform/auth/api-key.js';
import type { ApiKey } from './platform/auth/api-key.entity.js';

const USAGE = `Usage:
  api-keys create --name NAME --scopes SCOPE,SCOPE [--expires 90d]    creates a key and prints it once
  api-keys create --offline                                           creates a key, its id and hash, without a database
  api-keys create --id ID --hash HASH --name NAME --scopes SCOPE,…    registers a key that was created offline
  api-keys list
  api-keys revoke ID
Options:
  --scopes    comma-separated scopes, or none
  --expires   number of days such as 90d (default), or never
  --json      prints JSON
Exit codes: 0 success, 1 failure`;

const {
  positionals: [command, operand, ...more],
  values: options,
} = parse();

void run();

async function run(): Promise<void> {
  if (options.help) return console.log(USAGE);
  try {
    if (more.length > 0) throw new Error(USAGE);
    if (command === 'create' && !operand) await create();
    else if (command === 'list' && !operand) await list();
    else if (command === 'revoke' && operand) await revoke(operand);
    else throw new Error(USAGE);
  } catch (error) {
    fail(error);
  }
}

async function create(): Promise<void> {
  const created = options.id === undefined && options.hash === undefined ? createKey() : undefined;
  if (created && options.offline) {
    if (options.name || options.scopes)
      throw new Error('--offline takes no --name and no --scopes: use them to register the key');
    return print(
      created,
      `API key  ${created.key}\nRegister it: api-keys create --id ${created.id} --hash ${created.hash} --name NAME --scopes SCOPES`,
    );
  }
  const { id, hash } = created ?? options;
  if (!id || !/^[0-9a-f]{16}$/.test(id) || !hash || !/^[0-9a-f]{64}$/.test(hash)) {
    throw new Error('--id and --hash must be those printed by `api-keys create --offline`');
  }
  const key = { id, hash, name: nameOption(), expiresAt: expiresOption(), scopes: await scopesOption() };
  await withRepository(async (keys) => {
    if (await keys.existsBy({ id })) throw new Error(`API key ${id} already exists`);
    await keys.insert(key);
  });
  const summary = `API key ${id} (${key.name}), scopes: ${key.scopes.join(', ') || 'none'}, expires: ${dateOf(key.expiresAt) ?? 'never'}`;
  return print(
    { ...withoutHash(key), key: created?.key },
    created ? `API key  ${created.key}\nStore it now: it is not shown again.\n${summary}` : summary,
  );
}

async function list(): Promise<void> {
  const keys = await withRepository((all) => all.find({ order: { createdAt: 'ASC' } }));
  const rows = keys.map(({ id, name, scopes, expiresAt, lastUsedAt, revokedAt }) => [
    id,
    {
      name,
      scopes: scopes.join(','),
      expires: dateOf(expiresAt),
      'last used': lastUsedAt?.toISOString(),
      revoked: dateOf(revokedAt),
    },
  ]);
  if (options.json) print(keys.map(withoutHash), '');
  else console.table(Object.fromEntries(rows));
}

async function revoke(id: string): Promise<void> {
  const key = await withRepository(async (keys) => {
    const found = await keys.findOneBy({ id });
    return found && keys.save({ ...found, revokedAt: found.revokedAt ?? new Date() });
  });
  if (!key) throw new Error(`API key ${id} does not exist; run: api-keys list`);
  print(withoutHash(key), `Revoked API key ${id} (${key.name}). Every instance rejects it within 60 s.`);
}

/** In production the output is a log, where a key must not appear. */
function isProduction(): boolean {
  return !['', 'development', 'test'].includes(process.env.NODE_ENV ?? '');
}

function createKey() {
  if (isProduction()) {
    throw new Error(
      'Cannot create a key in production, where the output is a log. Run `npm run api-keys -- create --offline` on your ' +
        'machine, then run this command with the printed --id and --hash.',
    );
  }
  return createApiKey();
}

function nameOption(): string {
  if (!options.name || !/^[\x20-\x7e]{1,100}$/.test(options.name)) {
    throw new Error('--name must name the key holder in 1 to 100 ASCII characters');
  }
  return options.name;
}

async function scopesOption(): Promise<string[]> {
  await import('./app.module.js'); // its controllers declare the scopes
  const { declaredScopes } = await import('./platform/auth/auth.decorators.js');
  const scopes = options.scopes?.split(',') ?? [];
  if (options.scopes === 'none') return [];
  if (scopes.length === 0 || !scopes.every((scope) => declaredScopes.has(scope))) {
    throw new Error(`--scopes must be none or a list of ${[...declaredScopes].join(',')}`);
  }
  return scopes;
}

function expiresOption(): Date | null {
  if (options.expires === 'never') return null;
  const [, days] = /^(\d{1,5})d$/.exec(options.expires) ?? [];
  if (!Number(days)) throw new Error('--expires must be a number of days such as 90d, or never');
  return new Date(Date.now() + Number(days) * 86_400_000);
}

/** Loads TypeORM, which takes half a second, only after the options have been validated. */
async function withRepository<T>(work: (keys: Repository<ApiKey>) => Promise<T>): Promise<T> {
  const { withApiKeyRepository } = await import('./platform/auth/api-key-repository.js');
  return withApiKeyRepository(work);
}

function withoutHash(key: Partial<ApiKey>) {
  return { ...key, hash: undefined };
}

function dateOf(time: Date | null): string | undefined {
  return time?.toISOString().slice(0, 10);
}

function print(result: object, text: string): void {
  console.log(options.json ? JSON.stringify(result) : text);
}

function parse() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        name: { type: 'string' },
        scopes: { type: 'string' },
        expires: { type: 'string', default: '90d' },
        id: { type: 'string' },
        hash: { type: 'string' },
        offline: { type: 'boolean' },
        json: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    });
  } catch (error) {
    return fail(error);
  }
}

/** In production a log reads the line. */
function fail(error: unknown): never {
  const text = error instanceof Error ? error.message : String(error);
  // parseArgs() adds advice that does not apply here.
  const message = text.startsWith('Unknown option') ? `${text.split('. ', 1)[0]}. Run: api-keys --help` : text;
  const line = { severity: 'CRITICAL', time: new Date().toISOString(), message };
  console.error(isProduction() ? JSON.stringify(line) : message);
  process.exit(1);
}
