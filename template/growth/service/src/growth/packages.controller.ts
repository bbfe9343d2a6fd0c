import { HttpService } from '@nestjs/axios';
import { getQueueToken } from '@nestjs/bullmq';
import { CACHE_MANAGER, type Cache } from '@nestjs/cache-manager';
import { Body, Controller, Get, Inject, Post, UploadedFile, UseInterceptors } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { Command, CommandBus, CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { EventEmitter2, OnEvent } from '@nestjs/event-emitter';
import { FileInterceptor } from '@nestjs/platform-express';
import { Cron, SchedulerRegistry } from '@nestjs/schedule';
import { hash } from 'bcrypt';
import { IsPhoneNumber } from 'class-validator';
import sharp from 'sharp';
import { MysqlDriver } from 'typeorm/driver/mysql/MysqlDriver.js';
import { Public } from '../platform/auth/auth.decorators.js';
import { Env } from '../platform/config/env.js';

class CallDto {
  @IsPhoneNumber()
  number!: string;
}

class GreetCommand extends Command<string> {
  constructor(readonly name: string) {
    super();
  }
}

@CommandHandler(GreetCommand)
export class GreetHandler implements ICommandHandler<GreetCommand> {
  async execute({ name }: GreetCommand): Promise<string> {
    return `Hello ${name}`;
  }
}

@Controller({ path: 'growth', version: '1' })
@Public()
export class PackagesController {
  private heard = 'nothing';

  constructor(
    private readonly config: ConfigService,
    private readonly env: Env,
    private readonly http: HttpService,
    private readonly commands: CommandBus,
    private readonly events: EventEmitter2,
    private readonly schedule: SchedulerRegistry,
    @Inject(CACHE_MANAGER) private readonly cache: Cache,
  ) {}

  @Cron('0 0 1 1 *', { name: 'yearly' })
  @OnEvent('greeting')
  hear(text = 'the clock'): void {
    this.heard = text;
  }

  /** Packages without native code */
  @Get('packages')
  async packages(): Promise<object> {
    await this.cache.set('key', 'cached');
    this.events.emit('greeting', 'an event');
    return {
      result: [
        await this.cache.get('key'),
        this.heard,
        await this.commands.execute(new GreetCommand('Ada')),
        [...this.schedule.getCronJobs().keys()].join(),
        typeof this.http.axiosRef.get,
        this.config.get('NODE_ENV'),
        getQueueToken('mail'),
        MysqlDriver.name,
      ],
    };
  }

  /** A variable that the service requires */
  @Get('variable')
  variable(): object {
    return { result: this.env.PAYMENT_KEY };
  }

  /** Native packages outside of the bundle */
  @Get('native')
  async native(): Promise<object> {
    const image = sharp({ create: { width: 2, height: 2, channels: 3, background: 'red' } });
    return { result: [(await hash('secret', 4)).length, (await image.png().toBuffer()).subarray(1, 4).toString()] };
  }

  /** A validator with a large table */
  @Post('call')
  call(@Body() { number }: CallDto): object {
    return { result: number };
  }

  /** An upload */
  @Post('upload')
  @UseInterceptors(FileInterceptor('file'))
  upload(@UploadedFile() file: { size: number }): object {
    return { result: file.size };
  }
}
