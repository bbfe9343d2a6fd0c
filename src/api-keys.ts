import { parseArgs } from 'node:util';
import type { Repository } from 'typeorm';
import { createApiKey } from './platform/auth/api-key.js';
import type { ApiKey } from './platform/auth/api-key.entity.js';

const USAGE = `Usage:
  keys create --name NAME --scopes SCOPE,SCOPE [--expires 90d]    makes a key and shows it, once
  keys create --offline                                           makes a key, its id and its hash, without a database
  keys create --id ID --hash HASH --name NAME --scopes SCOPE,…    registers a key that was made offline
  keys list
  keys revoke ID
  --scopes none: whoever has the key may say who they are, and no more. --expires is a number of days and d, or never.
  --json prints JSON.`;

const {
  positionals: [command, operand, ...more],
  values: options,
} = parse();

void run();

async function run(): Promise<void> {
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
  const made = options.id === undefined && options.hash === undefined ? makeKey() : undefined;
  if (made && options.offline) {
    if (options.name || options.scopes) throw new Error('--name and --scopes are for registering what --offline makes');
    return print(made, `API key  ${made.key}\nRegister it with: keys create --id ${made.id} --hash ${made.hash} …`);
  }
  const { id, hash } = made ?? options;
  if (!id || !/^[0-9a-f]{16}$/.test(id) || !hash || !/^[0-9a-f]{64}$/.test(hash)) {
    throw new Error('--id and --hash must be the two that `keys create --offline` has printed');
  }
  const key = { id, hash, name: nameOption(), expiresAt: expiresOption(), scopes: await scopesOption() };
  await withRepository(async (keys) => {
    if (await keys.existsBy({ id })) throw new Error(`There is a key ${id} already`);
    await keys.insert(key);
  });
  const summary = `Key ${id} (${key.name}) has ${key.scopes.join(', ') || 'no scope'} until ${dateOf(key.expiresAt) ?? 'it is revoked'}`;
  return print(
    { ...shown(key), key: made?.key },
    made ? `API key  ${made.key}\nIt is not shown again. ${summary}` : summary,
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
  if (options.json) print(keys.map(shown), '');
  else console.table(Object.fromEntries(rows));
}

async function revoke(id: string): Promise<void> {
  const key = await withRepository(async (keys) => {
    const found = await keys.findOneBy({ id });
    return found && keys.save({ ...found, revokedAt: found.revokedAt ?? new Date() });
  });
  if (!key) throw new Error(`There is no key ${id}; keys list shows all`);
  print(shown(key), `Key ${id} (${key.name}) is revoked: every instance refuses it within 60 s`);
}

/** The output of a job is a log, which is no place for a key. */
function makeKey() {
  if (!['', 'development', 'test'].includes(process.env.NODE_ENV ?? '')) {
    throw new Error(
      'In production no key is made, because this output is a log. Run `npm run api-keys -- create --offline` on your own ' +
        'machine, and give the --id and --hash that it prints to this command.',
    );
  }
  return createApiKey();
}

function nameOption(): string {
  if (!options.name || !/^[\x20-\x7e]{1,100}$/.test(options.name)) {
    throw new Error('--name must say whose key it is, in 1 to 100 characters of ASCII');
  }
  return options.name;
}

async function scopesOption(): Promise<string[]> {
  await import('./app.module.js'); // its controllers declare the scopes
  const { declaredScopes } = await import('./platform/auth/auth.decorators.js');
  const scopes = options.scopes?.split(',') ?? [];
  if (options.scopes === 'none') return [];
  if (scopes.length === 0 || !scopes.every((scope) => declaredScopes.has(scope))) {
    throw new Error(`--scopes must be none, or some of ${[...declaredScopes].join(',')}`);
  }
  return scopes;
}

function expiresOption(): Date | null {
  if (options.expires === 'never') return null;
  const [, days] = /^(\d{1,5})d$/.exec(options.expires) ?? [];
  if (!Number(days)) throw new Error('--expires must be a number of days, such as 90d, or never');
  return new Date(Date.now() + Number(days) * 86_400_000);
}

/** Loaded when it is needed: TypeORM takes half a second, and a wrong option should be told at once. */
async function withRepository<T>(work: (keys: Repository<ApiKey>) => Promise<T>): Promise<T> {
  const { withApiKeyRepository } = await import('./platform/auth/api-key-repository.js');
  return withApiKeyRepository(work);
}

/** Without the hash, which is of no use to a reader. */
function shown(key: Partial<ApiKey>) {
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
      },
    });
  } catch (error) {
    return fail(error);
  }
}

function fail(error: unknown): never {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
