// `npm run generate -- NAME --fields=…`: the schematic behind `npx nest generate resource`, for scripts. It asks nothing,
// and fails with an exit code, which nest does not.
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const SCHEMATICS = 'node_modules/@angular-devkit/schematics-cli/bin/schematics.js';
const USAGE =
  'Usage: npm run generate -- NAME [--fields=number:string:unique,dueAt:date:optional] [--folder=billing] [--no-spec] [--dry-run]';

try {
  const { name, fields, folder, spec, dryRun } = parse();
  const given = Object.entries({ name, path: folder, fields }).filter(([, value]) => value);
  const options = [...given.map(([option, value]) => `--${option}=${value}`), `--spec=${spec}`, '--no-interactive'];
  const args = [SCHEMATICS, '@app/schematics:resource', ...options, ...(dryRun ? ['--dry-run'] : [])];
  process.exitCode = spawnSync(process.execPath, args, { stdio: 'inherit' }).status ?? 1;
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

function parse() {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      fields: { type: 'string', default: '' },
      folder: { type: 'string', default: '' },
      'no-spec': { type: 'boolean', default: false },
      'dry-run': { type: 'boolean', default: false },
    },
  });
  // Without the `--` npm takes the options for its own, and they would be missing here without a word.
  if (process.env.npm_config_fields || process.env.npm_config_dry_run) throw new Error(`The -- is missing. ${USAGE}`);
  if (positionals.length !== 1) throw new Error(USAGE);
  const { fields, folder } = values;
  return { name: positionals[0], fields, folder, spec: !values['no-spec'], dryRun: values['dry-run'] };
}
