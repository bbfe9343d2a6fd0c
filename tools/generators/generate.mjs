// `npm run generate -- NAME`: the schematic of `npx nest generate resource` for scripts. Unlike nest, it never prompts, and
// its exit code reports a failure.
import { spawnSync } from 'node:child_process';
import { runCommand } from '../cli.mjs';

const SCHEMATICS = 'node_modules/@angular-devkit/schematics-cli/bin/schematics.js';

const USAGE = `Usage: npm run generate -- NAME [--fields=number:string:unique,customerId:ref=customers] [--folder=billing] [--idempotent] [--include | --tools] [--parent=orders] [--no-spec] [--dry-run] [--json]

Writes a resource: entity, DTOs, service, controller, problems, migration and tests.

  --fields=LIST    NAME:TYPE[:optional][:unique][:ondelete=restrict|cascade|setnull], separated by commas; name:string by default
  --folder=FOLDER  a folder of src/
  --idempotent     POST accepts an Idempotency-Key
  --include        GET embeds referenced rows on request: ?include=customer
  --tools          writes tools for agents too: docs/mcp.md
  --parent=NAME    rows that a resource contains, such as the lines of an order: written with it, without routes
  --no-spec        writes no tests
  --dry-run        prints the files and writes nothing
  --json           prints the files and the next commands as JSON

Exit codes: 0 on success, 1 if nothing was written.`;

await runCommand(USAGE, ({ fields, folder, parent, ...flags }, [name]) => {
  const given = Object.entries({ name, path: folder, fields, parent }).filter(([, value]) => value);
  const args = [...given.map(([option, value]) => `--${option}=${value}`), '--no-interactive'];
  // With Node 24, schematics reads --no-spec as --spec.
  for (const flag of Object.keys(flags))
    if (flag !== 'json') args.push(flag === 'no-spec' ? '--spec=false' : `--${flag}`);
  const { status, stdout, stderr } = spawnSync(process.execPath, [SCHEMATICS, '@app/schematics:resource', ...args], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr.trim());
  console.log(stdout.trimEnd());
  const files = [...stdout.matchAll(/^(CREATE|UPDATE) (\S+)/gm)];
  return {
    created: files.flatMap(([, action, file]) => (action === 'CREATE' ? [file] : [])),
    updated: files.flatMap(([, action, file]) => (action === 'UPDATE' ? [file] : [])),
    next: ['npm run openapi', 'npm test', 'npm run check'],
  };
});
