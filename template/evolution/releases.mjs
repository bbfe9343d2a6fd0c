// Ten releases of the service in docs/tutorial.md. Each changes the schema by the safe sequences of docs/schema-changes.md.
const CUSTOMERS = 'src/customers/customers.service.ts';
const CUSTOMER = 'src/customers/customer.entity.ts';
const ADDRESS = 'src/customers/address.entity.ts';
const ORDERS = 'src/orders/orders.service.ts';
const ORDER = 'src/orders/order.entity.ts';
const LINES = 'src/order-lines/order-lines.service.ts';
const LINE = 'src/order-lines/order-line.entity.ts';

const UNUSED = 'nullable: true, select: false, insert: false, update: false';

/** The fields that the tutorial does not have, for the releases that move and remove them. */
export const MORE_FIELDS = {
  customers: 'street:text:optional,city:text:optional',
  orders: 'note:text:optional,origin:json:optional',
};

/** The columns with the values of each table, before the first release. */
export const CONTENT = {
  customers: 'id, name, email, street, city FROM customers',
  orders: 'id, number, customer_id, ordered_on, status, note FROM orders',
  order_lines: 'id, order_id, product, quantity, price FROM order_lines',
};

/**
 * Each release has `change(team)`, `content` if values have moved, `lists` if there are more, and `locked`, a table of which a
 * transaction holds a row while the backfill runs.
 */
export const RELEASES = [
  {
    name: 'index',
    async change(team) {
      team.migrate('index-products', [
        `CREATE INDEX CONCURRENTLY IF NOT EXISTS "IX_order_lines_by_product" ON "order_lines" ("product", "created_at", "id")`,
      ]);
      team.edit(LINE, [
        `@Index('IX_order_lines_quantity'`,
        `@Index('IX_order_lines_by_product', ['product', 'createdAt', 'id'])\n$&`,
      ]);
      team.edit('src/order-lines/order-line.dto.ts', [
        '  orderId?: string;\n}',
        '  orderId?: string;\n\n  @IsOptional()\n  @IsString()\n  @Length(1, 200)\n  product?: string;\n}',
      ]);
      team.edit(
        LINES,
        ['{ q, orderId }', '{ q, orderId, product }'],
        [
          '    return paginate(',
          `    if (product !== undefined) rows.andWhere('orderLine.product = :product', { product });\n$&`,
        ],
      );
    },
    lists: { 'order-lines?product=product-7': 'order_lines' },
  },
  {
    name: 'rename, 1 of 4: write both columns. New enum value',
    async change(team) {
      team.edit(
        ORDER,
        ['  note!: string | null;', `$&\n\n  @Column({ type: 'text', nullable: true })\n  remark!: string | null;`],
        [`['draft', 'sent']`, `['draft', 'sent', 'paid']`],
      );
      team.edit(
        ORDERS,
        ['manager.getRepository(Order), dto)', 'manager.getRepository(Order), { ...dto, remark: dto.note ?? null })'],
        ['order, changes);', `$&\n      order.remark = order.note;`],
      );
      team.generate('add-remark');
    },
  },
  {
    name: 'rename, 2 of 4: backfill, read the new column',
    locked: 'orders',
    async change(team) {
      team.migrate('copy-notes', [
        team.batches('orders', `"remark" = "note"`, `"remark" IS DISTINCT FROM "note"`),
        `CREATE INDEX CONCURRENTLY IF NOT EXISTS "IX_orders_search_remark" ON "orders" USING gin (lower("number" COLLATE "und-x-icu") gin_trgm_ops, lower("remark" COLLATE "und-x-icu") gin_trgm_ops) WITH (gin_pending_list_limit = 256)`,
      ]);
      team.edit(
        ORDER,
        ['  note!: string | null;', '  oldNote!: string | null;'],
        [`nullable: true })\n  oldNote`, `name: 'note', nullable: true })\n  oldNote`],
        [`nullable: true })\n  remark`, `name: 'remark', nullable: true })\n  note`],
        [`'IX_orders_search'`, `'IX_orders_search_remark'`],
      );
      team.edit(
        ORDERS,
        ['remark: dto.note', 'oldNote: dto.note'],
        ['order.remark = order.note', 'order.oldNote = order.note'],
      );
    },
    content: { orders: 'id, number, customer_id, ordered_on, status, remark FROM orders' },
  },
  {
    name: 'rename, 3 of 4, and dropped column, 1 of 2: unused columns. Split table, 1 of 4: write both tables',
    async change(team) {
      team.edit(
        ORDER,
        [`name: 'note', nullable: true`, `name: 'note', ${UNUSED}`],
        [/nullable: true \}\)\s+origin/, `${UNUSED} })\n  origin`],
      );
      team.edit(
        ORDERS,
        [', { ...dto, oldNote: dto.note ?? null }', ', dto'],
        ['\n      order.oldNote = order.note;', ''],
      );
      team.edit(
        'src/orders/order.dto.ts',
        [/\n  (@|\/\*\*)(?:(?!\n\n)[^])*\n  origin\?[^]*?;\n/, '\n'],
        [/\n(?:  @.*\n)*  origin!.*;/, ''],
      );
      team.write(
        ADDRESS,
        `import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { Customer } from './customer.entity.js';

@Entity('addresses')
export class Address {
  @PrimaryColumn({ name: 'customer_id', type: 'uuid', primaryKeyConstraintName: 'PK_addresses' })
  customerId!: string;

  @ManyToOne(() => Customer, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'customer_id', foreignKeyConstraintName: 'FK_addresses_customer' })
  customer?: Relation<Customer>;

  @Column({ type: 'text', nullable: true })
  street!: string | null;

  @Column({ type: 'text', nullable: true })
  city!: string | null;
}
`,
      );
      team.edit(
        'src/customers/customers.module.ts',
        ['[Customer]', '[Customer, Address]'],
        [`import { Customer }`, `import { Address } from './address.entity.js';\n$&`],
      );
      team.edit(
        CUSTOMERS,
        [
          'return insertRow(this.customers, dto);',
          `return withRetryableTransaction(this.customers.manager, async (manager) => {
      const customer = await insertRow(manager.getRepository(Customer), dto);
      await this.saveAddress(manager, customer);
      return customer;
    });`,
        ],
        ['return manager.save(customer);', `await this.saveAddress(manager, customer);\n      $&`],
        [
          /\}\n$/,
          `
  private async saveAddress(manager: EntityManager, { id, street = null, city = null }: Customer): Promise<void> {
    await manager.upsert(Address, { customerId: id, street, city }, ['customerId']);
  }
}
`,
        ],
        ['import { Repository }', 'import { type EntityManager, In, Repository }'],
        ['import type { CreateCustomerDto', `import { Address } from './address.entity.js';\n$&`],
      );
      team.edit(CUSTOMERS, ['In, ', '']);
      team.generate('add-addresses');
    },
  },
  {
    name: 'rename, 4 of 4, and dropped column, 2 of 2: drop them. Split table, 2 of 4: backfill, read the new table',
    locked: 'customers',
    async change(team) {
      team.edit(ORDER, [/\n  @Column\([^)]*\)\n  oldNote.*\n/, ''], [/\n  @Column\([^)]*\)\n  origin.*\n/, '']);
      team.generate('drop-notes', 'ban-drop-column');
      team.migrate('copy-addresses', [
        team.insertBatches(
          (limit) => `INSERT INTO "addresses" ("customer_id", "street", "city")
           SELECT "id", c."street", c."city" FROM "customers" c LEFT JOIN "addresses" a ON "customer_id" = "id"
            WHERE "customer_id" IS NULL OR (a."street", a."city") IS DISTINCT FROM (c."street", c."city") LIMIT ${limit} FOR UPDATE OF c
               ON CONFLICT ("customer_id") DO UPDATE SET "street" = excluded."street", "city" = excluded."city" RETURNING 1`,
        ),
        `CREATE INDEX CONCURRENTLY IF NOT EXISTS "IX_customers_search_name" ON "customers" USING gin (lower("name" COLLATE "und-x-icu") gin_trgm_ops, lower("email" COLLATE "und-x-icu") gin_trgm_ops) WITH (gin_pending_list_limit = 256)`,
      ]);
      team.edit(CUSTOMER, [`'IX_customers_search'`, `'IX_customers_search_name'`]);
      team.edit(
        CUSTOMERS,
        ['{ type EntityManager, Repository }', '{ type EntityManager, In, Repository }'],
        [`, 'customer.street', 'customer.city'`, ''],
        ['list(query: List', 'async list(query: List'],
        ['return paginate(', 'const page = await paginate('],
        [
          /\n {4}\);\n {2}\}/,
          `\n    );\n    await this.readAddresses(this.customers.manager, page.items);\n    return page;\n  }`,
        ],
        [
          '    return customer;\n  }\n\n  update',
          `    await this.readAddresses(this.customers.manager, [customer]);\n$&`,
        ],
        ['      manager.merge(', `      await this.readAddresses(manager, [customer]);\n$&`],
        [
          '  private async saveAddress',
          `  private async readAddresses(manager: EntityManager, customers: Customer[]): Promise<void> {
    const addresses = await manager.findBy(Address, { customerId: In(customers.map(({ id }) => id)) });
    const byId = new Map(addresses.map((address) => [address.customerId, address]));
    for (const customer of customers) {
      customer.street = byId.get(customer.id)?.street ?? null;
      customer.city = byId.get(customer.id)?.city ?? null;
    }
  }

$&`,
        ],
      );
    },
    content: { customers: 'id, name, email, a.street, a.city FROM customers JOIN addresses a ON customer_id = id' },
  },
  {
    name: 'split table, 3 of 4: unused columns. Wider type, 1 of 4: write both columns',
    async change(team) {
      for (const column of ['street', 'city']) {
        team.edit(CUSTOMER, [
          `@Column({ type: 'text', nullable: true })\n  ${column}!: string | null;`,
          `@Column({ name: '${column}', type: 'text', ${UNUSED} })\n  ${column}Old?: string | null;\n\n  ${column}!: string | null;`,
        ]);
      }
      team.edit(
        CUSTOMERS,
        [
          'await this.saveAddress(manager, customer);\n      return customer;',
          'return this.saveAddress(manager, customer, dto);',
        ],
        [
          'await this.saveAddress(manager, customer);\n      return manager.save(customer);',
          `customer.updatedAt = new Date(); // a change of the address is a new version of the customer
      await manager.save(customer);
      return this.saveAddress(manager, customer, changes);`,
        ],
        [
          / {2}private async saveAddress[^]*/,
          `  private async saveAddress(manager: EntityManager, customer: Customer, changes: UpdateCustomerDto): Promise<Customer> {
    const { street = customer.street ?? null, city = customer.city ?? null } = changes;
    await manager.upsert(Address, { customerId: customer.id, street, city }, ['customerId']);
    return Object.assign(customer, { street, city });
  }
}
`,
        ],
      );
      team.edit(LINE, [
        '  quantity!: number;',
        `$&\n\n  @Column({ type: 'bigint', nullable: true, transformer: { from: Number, to: (units: number) => units } })\n  units!: number;`,
      ]);
      team.edit(
        LINES,
        ['this.orderLines, dto)', 'this.orderLines, { ...dto, units: dto.quantity })'],
        ['orderLine, changes);', `$&\n      orderLine.units = orderLine.quantity;`],
      );
      team.generate('add-units');
    },
  },
  {
    name: 'split table, 4 of 4: drop the columns. Wider type, 2 of 4: backfill, require and read the new column',
    locked: 'order_lines',
    async change(team) {
      for (const column of ['street', 'city'])
        team.edit(CUSTOMER, [new RegExp(`\\n  @Column\\([^)]*\\)\\n  ${column}Old.*\\n`), '']);
      team.generate('drop-street', 'ban-drop-column');
      team.migrate('copy-quantities', [
        team.batches('order_lines', `"units" = "quantity"`, `"units" IS DISTINCT FROM "quantity"`),
        `CREATE INDEX CONCURRENTLY IF NOT EXISTS "IX_order_lines_units" ON "order_lines" ("units", "id")`,
        `CREATE INDEX CONCURRENTLY IF NOT EXISTS "IX_order_lines_order_id_by_units" ON "order_lines" ("order_id", "units", "id")`,
      ]);
      team.require('order_lines', 'units');
      team.edit(
        LINE,
        ['  quantity!: number;', '  oldQuantity!: number;'],
        [`{ type: 'integer' })\n  oldQuantity`, `{ name: 'quantity', type: 'integer' })\n  oldQuantity`],
        [`'bigint', nullable: true,`, `'bigint', name: 'units',`],
        ['  units!: number;', '  quantity!: number;'],
        [
          `@Index('IX_order_lines_quantity', ['quantity', 'id'])`,
          `@Index('IX_order_lines_quantity', ['oldQuantity', 'id'])\n@Index('IX_order_lines_units', ['quantity', 'id'])`,
        ],
        [
          `_by_quantity', ['orderId', 'quantity', 'id'])`,
          `_by_quantity', ['orderId', 'oldQuantity', 'id'])\n@Index('IX_order_lines_order_id_by_units', ['orderId', 'quantity', 'id'])`,
        ],
      );
      team.edit(
        LINES,
        ['units: dto.quantity', 'oldQuantity: dto.quantity'],
        ['orderLine.units = ', 'orderLine.oldQuantity = '],
        [`type: 'integer', valueOf: ({ quantity })`, `type: 'bigint', valueOf: ({ quantity })`],
      );
    },
    content: { order_lines: 'id, order_id, product, units, price FROM order_lines' },
  },
  {
    name: 'wider type, 3 of 4: unused column. Required column, 1 of 2: write it',
    async change(team) {
      team.edit(
        LINE,
        [`{ name: 'quantity', type: 'integer' }`, `{ name: 'quantity', type: 'integer', ${UNUSED} }`],
        ['oldQuantity!: number', 'oldQuantity?: number | null'],
        [/@Index\('IX_order_lines_quantity'.*\n/, ''],
        [/@Index\('IX_order_lines_order_id_by_quantity'.*\n/, ''],
      );
      team.edit(
        LINES,
        ['{ ...dto, oldQuantity: dto.quantity }', 'dto'],
        ['\n      orderLine.oldQuantity = orderLine.quantity;', ''],
      );
      team.edit(ORDER, ['  @VersionColumn', `  @Column({ type: 'text', nullable: true })\n  currency!: string;\n\n$&`]);
      team.edit(
        ORDERS,
        ['(Order), dto)', `(Order), { ...dto, currency: 'EUR' })`],
        ['order, changes);', `$&\n      order.currency = 'EUR';`],
      );
      team.generate('add-currency');
    },
  },
  {
    name: 'wider type, 4 of 4: drop the column. Required column, 2 of 2: backfill, require it',
    locked: 'orders',
    async change(team) {
      team.edit(LINE, [/\n  @Column\([^)]*\)\n  oldQuantity.*\n/, '']);
      team.generate('drop-quantity', 'ban-drop-column');
      team.migrate('fill-currency', [team.batches('orders', `"currency" = 'EUR'`, `"currency" IS NULL`)]);
      team.require('orders', 'currency');
      team.edit(ORDER, [`'text', nullable: true })\n  currency`, `'text' })\n  currency`]);
    },
  },
  {
    name: 'unique constraint, new relation',
    async change(team) {
      team.resource('shipments', 'orderId:ref=orders,carrier:string');
      team.migrate('index-line-products', [
        `CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "UQ_order_lines_product" ON "order_lines" ("order_id", "product")`,
      ]);
      team.migrate('unique-line-products', [
        `ALTER TABLE "order_lines" ADD CONSTRAINT "UQ_order_lines_product" UNIQUE USING INDEX "UQ_order_lines_product"`,
      ]);
      team.edit(
        LINE,
        [`@Entity('order_lines')`, `$&\n@Unique('UQ_order_lines_product', ['orderId', 'product'])`],
        ['  UpdateDateColumn,', `  Unique,\n$&`],
      );
    },
  },
];
