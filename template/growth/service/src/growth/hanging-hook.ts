import { Injectable, type OnModuleInit } from '@nestjs/common';

/** A start-up hook that waits for a system that a build does not have. */
@Injectable()
export class HangingHook implements OnModuleInit {
  async onModuleInit(): Promise<void> {
    if (process.env.SYSTEM_IS_UP) return;
    await new Promise((resolve) => setTimeout(resolve, 3_600_000));
  }
}
