import { type DynamicModule, Global, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Env } from '../config/env.js';
import { dataSourceOptions, type MigrationClass } from './data-source.js';
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
            manualInitialization: true, // by DatabaseConnection, so that the service listens before the database is available
          }),
        }),
      ],
      providers: [DatabaseConnection],
      exports: [DatabaseConnection],
    };
  }
}
