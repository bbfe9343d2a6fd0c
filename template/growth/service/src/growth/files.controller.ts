import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Controller, Get, Param } from '@nestjs/common';
import countries from './countries.json' with { type: 'json' };
import { Public } from '../platform/auth/auth.decorators.js';

const require = createRequire(import.meta.url);
const { capital } = require('./capital.json') as { capital: string };
const TEXTS = join(import.meta.dirname, 'texts');

@Controller({ path: 'growth', version: '1' })
@Public()
export class FilesController {
  /** A file next to the code */
  @Get('asset')
  async asset(): Promise<object> {
    return { result: await readFile(new URL('./texts/welcome.hbs', import.meta.url), 'utf8') };
  }

  /** A file whose name a request chooses */
  @Get('texts/:name')
  async text(@Param('name') name: string): Promise<object> {
    return { result: await readFile(join(TEXTS, `${name}.hbs`), 'utf8') };
  }

  /** A file of a folder next to src/ */
  @Get('document')
  async document(): Promise<object> {
    return { result: await readFile(new URL('../../documents/terms.txt', import.meta.url), 'utf8') };
  }

  /** JSON, imported and required */
  @Get('json')
  json(): object {
    return { result: `${countries[0]} ${capital}` };
  }

  /** A worker thread that imports a module and a package */
  @Get('worker')
  async worker(): Promise<object> {
    const worker = new Worker(new URL('./hash.worker.js', import.meta.url), { workerData: 'a' });
    return { result: await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject)) };
  }

  /** A module that is loaded when it is needed */
  @Get('import')
  async import(): Promise<object> {
    const { format } = await import('./formats/csv.js');
    return { result: format(['a', 'b']) };
  }

  /** A module whose name a request chooses */
  @Get('formats/:name')
  async format(@Param('name') name: string): Promise<object> {
    const { format } = (await import(`./formats/${name}.js`)) as { format: (cells: string[]) => string };
    return { result: format(['a', 'b']) };
  }
}
