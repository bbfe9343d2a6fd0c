import { type DynamicModule, Global, Module } from '@nestjs/common';
import { Env, loadEnv } from './env.js';

@Global()
@Module({})
export class ConfigModule {
  /** @param env the configuration; by default that of the process, validated */
  static forRoot(env?: Env): DynamicModule {
    return {
      module: ConfigModule,
      providers: [{ provide: Env, useFactory: () => env ?? loadEnv(process.env) }],
      exports: [Env],
    };
  }
}
