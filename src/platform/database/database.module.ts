import { type DynamicModule, Global, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Env } from '../config/env.js';
import { dataSourceOptions, type MigrationClass } from './data-source.js';
import { BackgroundWrites } from './background-writes.js';
import { DatabaseClock } from './database-clock.js';
import { DatabaseConnection } from './database-connection.js';

@Global()
@Module({})
export class DatabaseModule {
  static forRoot(migrations: MigrationClass[]): DynamicModule {
    return {
      module: DatabaseModule,
      imports: [
        TypeOrmModule.forRootAsync({
          inject: [Env],
          useFactory: (env: Env) => ({
            ...dataSourceOptions(env, migrations),
            autoLoadEntities: true,
            retryAttempts: 0, // without a connection, only an error in the code fails
            manualInitialization: true, // by DatabaseConnection, so that the service listens before the database is available
          }),
        }),
      ],
      providers: [BackgroundWrites, DatabaseClock, DatabaseConnection],
      exports: [BackgroundWrites, DatabaseClock, DatabaseConnection],
    };
  }
}
