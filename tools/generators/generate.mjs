// `npm run generate -- NAME`: the schematic of `npx nest generate resource` for scripts. Unlike nest, it never prompts, and
// its exit code reports a failure.
import { runCommand, runNode } from '../cli.mjs';

const SCHEMATICS = 'node_modules/@angular-devkit/schematics-cli/bin/schematics.js';

const USAGE = `Usage: npm run generate -- NAME [--fields=number:string:unique,dueAt:date:optional] [--folder=billing] [--no-spec] [--dry-run]

Writes a resource: entity, DTOs, service, controller, problems, migration and tests.

  --fields=LIST    NAME:TYPE[:optional][:unique], separated by commas; name:string by default
  --folder=FOLDER  a folder of src/
  --no-spec        writes no tests
  --dry-run        prints the files and writes nothing

Exit codes: 0 on success, 1 if nothing was written.`;

await runCommand(USAGE, ({ fields, folder, ...flags }, [name]) => {
  const given = Object.entries({ name, path: folder, fields }).filter(([, value]) => value);
  const args = [...given.map(([option, value]) => `--${option}=${value}`), '--no-interactive'];
  for (const flag of Object.keys(flags)) args.push(`--${flag}`);
  if (!runNode([SCHEMATICS, '@app/schematics:resource', ...args])) process.exitCode = 1;
});
