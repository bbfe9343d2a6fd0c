import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import ts from 'typescript';

type Scaffolds = Record<string, ((example: string) => string)[]>;

/** The surroundings of each TypeScript example of docs/development.md, by its heading, in the order of the examples. */
const DEVELOPMENT: Scaffolds = {
  'Environment variable': [
    (example) => `declare function Integer(min: number, max: number): PropertyDecorator;
      export class Env { ${example} }`,
  ],
  Scope: [
    (example) => `import { Get } from '@nestjs/common';
      import { RequireScopes } from '../platform/auth/auth.decorators.js';
      export class OrdersController { ${example} export(): void {} }`,
  ],
  'Idempotency-Key': [
    (example) => `import { Param, Post } from '@nestjs/common';
      import { RequireScopes } from '../platform/auth/auth.decorators.js';
      import { IdDto } from '../platform/http/id.dto.js';
      import type { IdempotencyService } from '../platform/idempotency/idempotency.service.js';
      import { IdempotentRequest } from '../platform/idempotency/idempotent-request.decorator.js';
      import type { EntityManager } from 'typeorm';
      class PaymentDto { id!: string }
      declare class OrdersService { pay(id: string, manager: EntityManager): Promise<PaymentDto> }
      export class OrdersController {
        constructor(private readonly orders: OrdersService, private readonly idempotency: IdempotencyService) {}
        ${example}
      }`,
  ],
  'Optimistic locking': [
    (example) => `import type { Repository } from 'typeorm';
      import { findForUpdate } from '../platform/database/find-for-update.js';
      import { withRetryableTransaction } from '../platform/database/retryable-transaction.js';
      import type { IfMatch } from '../platform/http/if-match.decorator.js';
      import type { ProblemType } from '../platform/problems/problem.js';
      declare class Order { id: string; version: number }
      declare class UpdateOrderDto {}
      declare const orderNotFound: ProblemType;
      export class OrdersService {
        constructor(private readonly orders: Repository<Order>) {}
        ${example}
      }`,
  ],
  'Structured logging': [
    (example) => `import { Logger } from '@nestjs/common';
      export class OrdersService { ${example} info(): void { this.logger.log('An order') } }`,
  ],
  Tracing: [
    (example) => `import { trace } from '@opentelemetry/api';
      export class OrdersService {
        private price(order: object): number { return Object.keys(order).length; }
        total(order: object): number { ${example} }
      }`,
  ],
  Relation: [
    (example) => `import { Column, Index, JoinColumn, ManyToOne, type Relation } from 'typeorm';
      class Customer { id!: string }
      export class Invoice { ${example} }`,
    (example) => `import { defineProblem } from '../platform/problems/problem.js';
      ${example}`,
  ],
  Join: [
    (example) => `import type { Repository } from 'typeorm';
      import { type Page, paginate, type PageRequest, type SortKey } from '../platform/database/paginate.js';
      declare class Invoice { id: string }
      declare class ListInvoicesDto implements PageRequest<'createdAt'> {
        limit: number;
        sort: 'createdAt';
        city?: string;
      }
      declare const SORT_KEYS: Record<'createdAt', SortKey<Invoice>>;
      export class InvoicesService {
        constructor(private readonly invoices: Repository<Invoice>) {}
        ${example}
      }`,
  ],
  'Nested rows': [
    (example) => `import { OneToMany } from 'typeorm';
      class OrderLine { order!: Order }
      export class Order { ${example} }`,
    (example) => `import { Type } from 'class-transformer';
      import { ArrayMaxSize, IsArray, ValidateNested } from 'class-validator';
      class CreateOrderLineDto { product!: string }
      export class CreateOrderDto { ${example} }`,
    (example) => `import type { Repository } from 'typeorm';
      import { findForUpdate } from '../platform/database/find-for-update.js';
      import { insertRows } from '../platform/database/insert-row.js';
      import { withRetryableTransaction } from '../platform/database/retryable-transaction.js';
      import type { IfMatch } from '../platform/http/if-match.decorator.js';
      import type { ProblemType } from '../platform/problems/problem.js';
      declare class OrderLine { id: string; orderId: string; position: number; product: string }
      declare class Order { id: string; number: string; lines: OrderLine[]; version: number; updatedAt: Date }
      declare class UpdateOrderDto { number?: string; lines?: { product: string }[] }
      declare const orderNotFound: ProblemType;
      export class OrdersService {
        constructor(private readonly orders: Repository<Order>) {}
        ${example}
      }`,
  ],
  'Outbound call': [
    (example) => `import { fetchPartner } from '../platform/http/fetch-partner.js';
      import { Problem, type ProblemType } from '../platform/problems/problem.js';
      declare const currencyUnknown: ProblemType;
      export class OrdersService { ${example} }`,
  ],
  'File read at run time': [
    (example) => `import { readFile } from 'node:fs/promises';
      export class OrdersService { ${example} }`,
  ],
  'Native package': [
    (example) => `declare function hash(text: string, rounds: number): Promise<string>;
      declare function compare(text: string, hashed: string): Promise<boolean>;
      ${example.replace(/^import .* from 'bcrypt';/, '')}`, // not a package of the starter
  ],
  'Worker thread': [(example) => example],
  'Another program': [
    (example) =>
      example
        .replaceAll("'./", "'../")
        .replace(/^import { OrdersService .*$/m, 'abstract class OrdersService { abstract report(): Promise<string> }'),
  ],
  'Sort orders and filters': [
    (example) => `import type { Repository } from 'typeorm';
      import { type Page, paginate, type PageRequest, type SortKey } from '../platform/database/paginate.js';
      import { contains } from '../platform/database/search.js';
      declare class Order { id: string }
      declare class ListOrdersDto implements PageRequest<'createdAt'> { limit: number; sort: 'createdAt'; q?: string }
      declare const SORT_KEYS: Record<'createdAt', SortKey<Order>>;
      export class OrdersService {
        constructor(private readonly orders: Repository<Order>) {}
        list({ q, ...query }: ListOrdersDto): Promise<Page<Order>> {
          const rows = this.orders.createQueryBuilder('order');
          ${example}
        }
      }`,
  ],
};

/** The same of docs/schema-changes.md. */
const SCHEMA_CHANGES: Scaffolds = {
  'Migration by hand': [
    (example) => `import type { MigrationInterface, QueryRunner } from 'typeorm';
      ${example}`,
  ],
  Backfill: [
    (example) => `import type { QueryRunner } from 'typeorm';
      const BATCH_SIZE = 10_000;
      export class FillRemark { ${example} }`,
  ],
};

/** The same of docs/beyond-json.md. */
const BEYOND_JSON: Scaffolds = {
  Webhooks: [
    (example) => `import { createHmac, timingSafeEqual } from 'node:crypto';
      import { Headers, HttpCode, Post, RawBody } from '@nestjs/common';
      import { Public } from '../platform/auth/auth.decorators.js';
      import { Problem, type ProblemType } from '../platform/problems/problem.js';
      declare const signatureInvalid: ProblemType;
      export class WebhooksController {
        private readonly env!: { GITHUB_SECRET: string };
        private readonly events!: { process(event: unknown): Promise<void> };
        ${example}
      }`,
  ],
  Uploads: [
    (example) => `import { Body, ParseFilePipe, Post, UploadedFile, UseInterceptors } from '@nestjs/common';
      import { FileInterceptor } from '@nestjs/platform-express';
      import { ApiBody, ApiConsumes } from '@nestjs/swagger';
      import { RequireScopes } from '../platform/auth/auth.decorators.js';
      import { MaxBodySize } from '../platform/http/max-body-size.decorator.js';
      type Options = NonNullable<Parameters<typeof FileInterceptor>[1]>;
      declare const storage: NonNullable<Options['storage']>;
      declare const fileFilter: NonNullable<Options['fileFilter']>;
      class ImportDto {}
      class ImportResultDto {}
      export class ImportsController { ${example} return Promise.resolve({ ...file, ...fields }); } }`,
  ],
  Streams: [
    (example) => `import { pipeline } from 'node:stream/promises';
      import { Param, Put, Req } from '@nestjs/common';
      import { ApiBody, ApiConsumes } from '@nestjs/swagger';
      import type { Request } from 'express';
      import { RequireScopes } from '../platform/auth/auth.decorators.js';
      import { IdDto } from '../platform/http/id.dto.js';
      import { MaxBodySize } from '../platform/http/max-body-size.decorator.js';
      export class FilesController {
        private readonly files!: { createWriteStream(id: string): NodeJS.WritableStream };
        ${example}
      }`,
  ],
  Exports: [
    (example) => `import { Get } from '@nestjs/common';
      import { ApiOkResponse } from '@nestjs/swagger';
      import { RequireScopes } from '../platform/auth/auth.decorators.js';
      class OrderDto {}
      export class OrdersController {
        private readonly orders!: { all(): AsyncGenerator<OrderDto> };
        ${example}
      }`,
    (example) => `import { MoreThan, type Repository } from 'typeorm';
      declare class Order { id: string }
      export class OrdersService {
        constructor(private readonly orders: Repository<Order>) {}
        ${example}
      }`,
  ],
  Downloads: [
    (example) => `import { Get, Next, Param, Res } from '@nestjs/common';
      import type { NextFunction, Response } from 'express';
      declare const FILES: string;
      export class FilesController { ${example} }`,
  ],
  'Server-sent events': [
    (example) => `import { Headers, type MessageEvent, Sse } from '@nestjs/common';
      import { map, type Observable } from 'rxjs';
      import { RequireScopes } from '../platform/auth/auth.decorators.js';
      export class OrdersController {
        private readonly orders!: { changesAfter(id?: string): Observable<{ changeId: string }> };
        ${example}
      }`,
  ],
  'Push endpoints': [
    (example) => `import { hash } from 'node:crypto';
      import { Body, HttpCode, Post, Res } from '@nestjs/common';
      import type { Response } from 'express';
      import type { EntityManager } from 'typeorm';
      import { CurrentPrincipal, RequireScopes } from '../platform/auth/auth.decorators.js';
      import type { Principal } from '../platform/auth/principal.js';
      import type { IdempotencyService } from '../platform/idempotency/idempotency.service.js';
      class PubSubPushDto { message!: { messageId: string } }
      export class PushController {
        private readonly orders!: { apply(message: object, manager: EntityManager): Promise<object> };
        constructor(private readonly idempotency: IdempotencyService) {}
        ${example}
      }`,
  ],
};

const SCAFFOLDS: Record<string, Scaffolds> = {
  'docs/development.md': DEVELOPMENT,
  'docs/schema-changes.md': SCHEMA_CHANGES,
  'docs/beyond-json.md': BEYOND_JSON,
};

const examples = Object.entries(SCAFFOLDS).flatMap(([page, scaffolds]) => {
  const sections = readFileSync(page, 'utf8')
    .replace(/^[^]*## Common changes/, '')
    .split(/^###? /m)
    .slice(1);
  return sections.flatMap((section) => {
    const [heading = ''] = section.split('\n');
    return [...section.matchAll(/^ *```ts\n(.*?)^ *```/gms)].map(([, code], index) => ({
      page,
      heading,
      index,
      file: resolve('src/examples', `${heading.replaceAll(' ', '-')}-${index}.ts`),
      source: scaffolds[heading]?.[index]?.(code!),
    }));
  });
});

const { options } = ts.parseJsonConfigFileContent(
  ts.readConfigFile('tsconfig.json', (file) => readFileSync(file, 'utf8')).config,
  ts.sys,
  process.cwd(),
);
const host = ts.createCompilerHost(options);
const sources = new Map(examples.map(({ file, source }) => [file, source]));
const program = ts.createProgram([...sources.keys()], options, {
  ...host,
  fileExists: (file) => sources.has(file) || host.fileExists(file),
  readFile: (file) => sources.get(file) ?? host.readFile(file),
  getSourceFile: (file, target) => {
    const source = sources.get(file);
    return source === undefined ? host.getSourceFile(file, target) : ts.createSourceFile(file, source, target);
  },
});

describe.each(Object.entries(SCAFFOLDS))('%s', (page, ofPage) => {
  const own = examples.filter((example) => example.page === page);

  it('has an example for each scaffold', () => {
    expect(own.map(({ heading }) => heading)).toEqual(
      Object.entries(ofPage).flatMap(([heading, scaffolds]) => scaffolds.map(() => heading)),
    );
  });

  it.each(own)('has an example that compiles: $heading, $index', ({ file }) => {
    const errors = ts.getPreEmitDiagnostics(program, program.getSourceFile(file));
    expect(errors.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))).toEqual([]);
  });
});
