import { appendFileSync } from 'node:fs';
import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';

/** A start-up hook with an effect, which a build must not have. So has this module. */
@Injectable()
export class StartRecorder implements OnApplicationBootstrap {
  onApplicationBootstrap(): void {
    record('started');
  }
}

function record(what: string): void {
  if (process.env.EFFECTS_FILE) appendFileSync(process.env.EFFECTS_FILE, `${what}\n`);
}

record('imported');
