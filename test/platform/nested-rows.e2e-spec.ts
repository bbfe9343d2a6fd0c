import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Body, Controller, Get, Module, Param, Patch, Post, UseInterceptors } from '@nestjs/common';
import { InjectRepository, TypeOrmModule } from '@nestjs/typeorm';
import { Type } from 'class-transformer';
import { ArrayMaxSize, IsArray, IsInt, IsString, Min, ValidateNested } from 'class-validator';
import {
  Column,
  type EntityManager,
  Entity,
  JoinColumn,
  ManyToOne,
  OneToMany,
  PrimaryGeneratedColumn,
  type Relation,
  Repository,
  Unique,
  UpdateDateColumn,
  VersionColumn,
} from 'typeorm';
import { Public } from '../../src/platform/auth/auth.decorators.js';
import { findForUpdate } from '../../src/platform/database/find-for-update.js';
import { insertRow, insertRows } from '../../src/platform/database/insert-row.js';
import { withRetryableTransaction } from '../../src/platform/database/retryable-transaction.js';
import { ETagInterceptor } from '../../src/platform/http/etag.interceptor.js';
import { IdDto } from '../../src/platform/http/id.dto.js';
import { IfMatch } from '../../src/platform/http/if-match.decorator.js';
import { toDto } from '../../src/platform/http/to-dto.js';
import { OptionalNotNull } from '../../src/platform/http/validators.js';
import { defineProblem, Problem } from '../../src/platform/problems/problem.js';
import { createTestApp, type TestApp } from '../support/test-app.js';

// The recipe "Nested rows" of docs/development.md: orders own their lines.
@Entity('test_orders')
class TestOrder {
  @PrimaryGeneratedColumn('uuid')
  id!: string;

  @Column({ type: 'text' })
  number!: string;

  @OneToMany('TestOrderLine', 'order')
  lines!: TestOrderLine[];

  @VersionColumn({ default: 1 })
  version!: number;

  @UpdateDateColumn({ name: 'updated_at', type: 'timestamptz', precision: 3 })
  updatedAt!: Date;
}

@Entity('test_order_lines')
@Unique('UQ_test_order_lines_product', ['orderId', 'product'])
class TestOrderLine {
  @PrimaryGeneratedColumn('uuid')
  id!: string;

  @Column({ name: 'order_id', type: 'uuid' })
  orderId!: string;

  @ManyToOne(() => TestOrder, ({ lines }) => lines, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'order_id' })
  order?: Relation<TestOrder>;

  @Column({ type: 'integer' })
  position!: number;

  @Column({ type: 'text' })
  product!: string;

  @Column({ type: 'integer' })
  quantity!: number;
}

const TABLES = `
  CREATE TABLE test_orders (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), number text NOT NULL, version integer NOT NULL DEFAULT 1,
    updated_at timestamptz(3) NOT NULL DEFAULT now());
  CREATE TABLE test_order_lines (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), order_id uuid NOT NULL REFERENCES test_orders ON DELETE CASCADE,
    position integer NOT NULL, product text NOT NULL, quantity integer NOT NULL,
    CONSTRAINT "UQ_test_order_lines_product" UNIQUE (order_id, product))`;

const orderNotFound = defineProblem('test_order_not_found', 404, 'Test order not found');
defineProblem('test_order_product_repeated', 409, 'Product repeated', {
  name: 'UQ_test_order_lines_product',
  field: 'lines',
});

class TestOrderLineDto {
  @IsString()
  product!: string;

  @IsInt()
  @Min(1)
  quantity!: number;
}

class CreateOrderDto {
  @IsString()
  number!: string;

  @IsArray()
  @ArrayMaxSize(100)
  @ValidateNested({ each: true })
  @Type(() => TestOrderLineDto)
  lines!: TestOrderLineDto[];
}

class UpdateOrderDto {
  @OptionalNotNull()
  @IsString()
  number?: string;

  @OptionalNotNull()
  @IsArray()
  @ArrayMaxSize(100)
  @ValidateNested({ each: true })
  @Type(() => TestOrderLineDto)
  lines?: TestOrderLineDto[];
}

class ShownOrderDto {
  id!: string;
  number!: string;
  lines!: TestOrderLineDto[];
  version!: number;
}

@Public()
@Controller('test-orders')
@UseInterceptors(ETagInterceptor)
class TestOrdersController {
  constructor(@InjectRepository(TestOrder) private readonly orders: Repository<TestOrder>) {}

  @Get(':id')
  async get(@Param() { id }: IdDto): Promise<ShownOrderDto> {
    return this.show(await this.read(this.orders.manager, id));
  }

  @Post()
  async create(@Body() { lines, ...values }: CreateOrderDto): Promise<ShownOrderDto> {
    return withRetryableTransaction(this.orders.manager, async (manager) => {
      const { id } = await insertRow(manager.getRepository(TestOrder), values);
      await this.insertLines(manager, id, lines);
      return this.show(await this.read(manager, id));
    });
  }

  @Patch(':id')
  async update(
    @Param() { id }: IdDto,
    @Body() { lines, ...changes }: UpdateOrderDto,
    @IfMatch() ifMatch: IfMatch,
  ): Promise<ShownOrderDto> {
    return withRetryableTransaction(this.orders.manager, async (manager) => {
      const order = await findForUpdate(manager, TestOrder, { id, ifMatch, notFound: orderNotFound });
      manager.merge(TestOrder, order, changes);
      if (lines) {
        await manager.delete(TestOrderLine, { orderId: id });
        await this.insertLines(manager, id, lines);
        order.updatedAt = new Date(Math.max(Date.now(), order.updatedAt.getTime() + 1));
      }
      await manager.save(order);
      return this.show(await this.read(manager, id));
    });
  }

  private async insertLines(manager: EntityManager, orderId: string, lines: TestOrderLineDto[]): Promise<void> {
    const rows = lines.map((line, position) => ({ ...line, position, orderId }));
    await insertRows(manager.getRepository(TestOrderLine), rows);
  }

  private async read(manager: EntityManager, id: string): Promise<TestOrder> {
    const options = { where: { id }, relations: { lines: true }, order: { lines: { position: 'ASC' } } } as const;
    const order = await manager.findOne(TestOrder, options);
    if (!order) throw new Problem(orderNotFound);
    return order;
  }

  private show({ lines, ...order }: TestOrder): ShownOrderDto {
    return toDto(ShownOrderDto, { ...order, lines }, { lines: TestOrderLineDto });
  }
}

@Module({ imports: [TypeOrmModule.forFeature([TestOrder, TestOrderLine])], controllers: [TestOrdersController] })
class TestOrdersModule {}

let sut: TestApp;
beforeAll(async () => {
  sut = await createTestApp({ modules: [TestOrdersModule] });
  await sut.database.query(TABLES);
});
afterEach(() => sut.database.query('TRUNCATE test_orders CASCADE'));
afterAll(() => sut.close());

const lines = ['tea', 'milk', 'sugar'].map((product) => ({ product, quantity: 1 }));
const post = (body: object) => sut.http.post('/test-orders').send(body);
const count = async (table: string) => (await sut.database.query(`SELECT FROM ${table}`)).length;

describe('nested rows', () => {
  it('are created with their parent, and returned in their order', async () => {
    const { body } = await post({ number: 'A-1', lines }).expect(201).expect('ETag', '"1"');
    expect(body).toEqual({ id: expect.any(String), number: 'A-1', lines, version: 1 });
    await sut.http.get(`/test-orders/${body.id}`).expect(200, body).expect('ETag', '"1"');
  });

  it('increment the version of their parent: PATCH of the lines only', async () => {
    const { body } = await post({ number: 'A-1', lines }).expect(201);
    const changed = [...lines.toReversed(), { product: 'honey', quantity: 2 }];
    const patch = () => sut.http.patch(`/test-orders/${body.id}`).set('If-Match', '"1"').send({ lines: changed });
    const { body: after } = await patch().expect(200).expect('ETag', '"2"');
    expect(after).toEqual({ ...body, lines: changed, version: 2 });
    await patch().expect(412);
    await sut.http.get(`/test-orders/${body.id}`).set('If-None-Match', '"1"').expect(200, after);
    expect(await count('test_order_lines')).toBe(4);
  });

  it('increment the version also if the stored updatedAt is later than the clock', async () => {
    const { body } = await post({ number: 'A-1', lines }).expect(201);
    await sut.database.query(`UPDATE test_orders SET updated_at = '2999-12-31T23:59:59Z'`);
    const patch = () => sut.http.patch(`/test-orders/${body.id}`).send({ lines: [] }).expect(200);
    expect([(await patch()).body.version, (await patch()).body.version]).toEqual([2, 3]);
  });

  it('remain unchanged by a PATCH of their parent', async () => {
    const { body } = await post({ number: 'A-1', lines }).expect(201);
    const { body: after } = await sut.http.patch(`/test-orders/${body.id}`).send({ number: 'A-2' }).expect(200);
    expect(after).toEqual({ ...body, number: 'A-2', version: 2 });
  });

  it('are rejected with a pointer to the invalid line', async () => {
    const invalid = lines.map((line, index) => ({ ...line, quantity: index === 2 ? 0 : 1 }));
    const { body } = await post({ number: 'A-1', lines: invalid }).expect(400);
    expect(body.errors).toMatchObject([{ in: 'body', pointer: '#/lines/2/quantity' }]);
    expect(await count('test_orders')).toBe(0);
  });

  it('are not stored, nor is their parent, if the database rejects one of them', async () => {
    const repeated = [...lines, { product: 'tea', quantity: 2 }];
    const { body } = await post({ number: 'A-1', lines: repeated }).expect(409);
    expect(body).toMatchObject({ code: 'test_order_product_repeated', errors: [{ in: 'body', pointer: '#/lines' }] });
    expect(await count('test_orders')).toBe(0);

    const { body: order } = await post({ number: 'A-1', lines }).expect(201);
    await sut.http.patch(`/test-orders/${order.id}`).send({ number: 'A-2', lines: repeated }).expect(409);
    await sut.http.get(`/test-orders/${order.id}`).expect(200, order);
  });

  it('are rejected by insertRow(), which does not insert them', async () => {
    const orders = sut.app.get(TestOrdersController)['orders'];
    await expect(insertRow(orders, { number: 'A-1', lines })).rejects.toThrow('insertRow() does not insert lines');
    expect(await count('test_orders')).toBe(0);
  });
});
