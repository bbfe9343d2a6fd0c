/** The remedies for errors of the network, of TLS and of PostgreSQL, by code. */
const REMEDIES: [codes: RegExp, remedy: string][] = [
  [/^(ENOTFOUND|EAI_AGAIN)$/, 'check the host in DATABASE_URL'],
  [
    /^(ECONN\w+|ETIMEDOUT|E\w+UNREACH|ENOENT|EACCES)$/,
    'check the host and port in DATABASE_URL, and that the database runs',
  ],
  [/^28/, 'check the user name and password in DATABASE_URL'],
  [/^3D000$/, 'create the database, or correct its name in DATABASE_URL'],
  [/^42501$/, 'grant the privilege to the role in DATABASE_URL: see deploy/database-roles.sql'],
  [/^42P01$/, 'run the migrations of this build: dist/migrate.js'],
  [/^53300$/, 'lower DATABASE_POOL_MAX or the number of instances'],
  [/^ERR_TLS_CERT_ALTNAME_INVALID$/, 'use a host in DATABASE_URL that the certificate names'],
  [/CERT|_SIGNATURE$/, "name the server's CA with sslrootcert in DATABASE_URL"],
];

/**
 * Returns the message of a database or connection error, with its remedy if one is known. For a host with several
 * addresses Node throws an AggregateError without a message.
 */
export function reasonOf(error: unknown): string {
  const errors = error instanceof AggregateError ? error.errors : [error];
  const messages = errors.map((each) => (each instanceof Error ? each.message : String(each)));
  const remedy = remedyOf(errors[0]);
  return `${messages.join(', ')}${remedy ? `; ${remedy}` : ''}`;
}

function remedyOf(error: unknown): string | undefined {
  const code = String(Reflect.get(Object(error), 'code'));
  return REMEDIES.find(([codes]) => codes.test(code))?.[1];
}
