import { cpSync, existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Files of src/ that are compiled, or that no program reads. */
const NOT_DATA = /\.([cm]?[jt]sx?|map|snap)$|(^|[\\/])(README\.md$|\.)/;

/** Whether a file of src/ is data for run time. */
const isData = (file) => !NOT_DATA.test(file);

/** Copies the data in one folder to the same paths of another. Code finds it with new URL('./FILE', import.meta.url). */
export function copyData(from, to) {
  for (const file of readdirSync(from, { recursive: true })) {
    if (isData(file) && statSync(join(from, file)).isFile()) cpSync(join(from, file), join(to, file));
  }
}

/** Copies one file of src/ to build/ if it is data, or removes it there. Returns whether it is data. */
export function copyFile(file) {
  const from = join('src', file);
  if (!isData(file) || (existsSync(from) && !statSync(from).isFile())) return false;
  if (existsSync(from)) cpSync(from, join('build', file));
  else rmSync(join('build', file), { recursive: true, force: true });
  return true;
}
