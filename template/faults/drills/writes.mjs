import { setTimeout as sleep } from 'node:timers/promises';
import { Journal } from '../client.mjs';
import { atLeast, atMost, exactly } from '../limits.mjs';
import { timeUntil, until } from '../until.mjs';
import { create, patch, read, redeem, SHARED, voucher } from '../workload.mjs';

export const writes = [
  {
    name: 'R11',
    title: '50 concurrent requests with one Idempotency-Key to two instances, one of which is killed',
    notForBaseline: 'The stock application has no Idempotency-Key.',
    limits: {
      'redemptions per key': exactly(1),
      'distinct responses to one key': exactly(1),
      'responses other than 201 and 409': exactly(0),
      'response to another body with the same key': exactly(422),
    },
    async run(fixture) {
      await fixture.migrate();
      const [lasting, victim] = await Promise.all([fixture.listen(), fixture.listen()]);
      const rounds = fixture.isLong ? 5 : 2;
      const different = [];
      const others = new Journal();
      let other;
      let killed = victim;
      await fixture.database.onUpdate(SHARED, 'PERFORM pg_sleep(0.3)');
      for (let round = 0; round < rounds; round++) {
        await Promise.all([lasting.ready(), killed.ready()]);
        const request = redeem();
        const first = fixture.send(killed, request);
        await until(async () => (await fixture.database.sessions(`wait_event = 'PgSleep'`)).length > 0);
        const rest = Array.from({ length: 49 }, (_, number) => fixture.send(number % 2 ? lasting : killed, request));
        await Promise.race(rest);
        killed.signal('SIGKILL');
        const answers = await Promise.all([first, ...rest]);
        // Clients without a response retry on the remaining instance until they receive one.
        const repeats = await Promise.all(answers.map(() => untilAnswered(fixture, lasting, request)));
        const all = new Journal([...answers, ...repeats]);
        different.push(new Set(all.served.entries.map(({ answer }) => answer)).size);
        for (const entry of all.filter(({ status }) => status !== undefined && ![201, 409].includes(status)).entries)
          others.add(entry);
        other = await fixture.send(lasting, { ...request, body: { reference: 'another' } });
        if (round < rounds - 1) killed = await fixture.listen();
      }
      const [{ redemptions }] = await fixture.database.query('SELECT redemptions FROM vouchers WHERE code = $1', [
        SHARED,
      ]);
      return {
        'redemptions per key': redemptions / rounds,
        'distinct responses to one key': Math.max(...different),
        'responses other than 201 and 409': others.count,
        'response to another body with the same key': other.status,
        outcomes: others.summary,
      };
    },
  },
  {
    name: 'R12',
    title: '100 clients update one voucher concurrently, each with the latest ETag that it has read',
    notForBaseline: 'The stock application has no ETag and no If-Match: the last update wins.',
    limits: {
      'successful updates with the same ETag': exactly(1),
      'responses other than 200, 412 and 503': exactly(0),
      'lost updates': exactly(0),
    },
    async run(fixture) {
      const service = await fixture.serve();
      const patched = voucher(0);
      const { answerHeaders } = await fixture.send(service, read(0));
      const rivals = await Promise.all(
        Array.from({ length: 100 }, (_, number) =>
          fixture.send(service, patch(patched, { metadata: { count: 0, number } }, { 'if-match': answerHeaders.etag })),
        ),
      );
      const all = new Journal([...rivals]);
      const addOne = async () => {
        for (;;) {
          const { answer, answerHeaders: headers, status } = await fixture.send(service, read(0));
          if (status !== 200) continue;
          const metadata = { count: JSON.parse(answer).metadata.count + 1 };
          const changed = await fixture.send(service, patch(patched, { metadata }, { 'if-match': headers.etag }));
          all.add(changed);
          if (changed.status === 200) return;
        }
      };
      await Promise.race([Promise.all(Array.from({ length: 100 }, addOne)), sleep(60_000, undefined, { ref: false })]);
      const [{ count }] = await fixture.database.query(
        `SELECT (metadata->>'count')::integer AS count FROM vouchers WHERE id = $1`,
        [patched.id],
      );
      return {
        'successful updates with the same ETag': new Journal(rivals).served.count,
        'responses other than 200, 412 and 503': all.filter(({ status }) => ![200, 412, 503].includes(status)).count,
        'lost updates': 100 - count,
        outcomes: all.summary,
      };
    },
  },
  {
    name: 'X2',
    title: 'The connection breaks between a COMMIT and its response, at 50 writes/s',
    limits: {
      'commits without a response': atLeast(10),
      'failures other than 503 with Retry-After': exactly(0),
      'slowest request (ms)': atMost(2_000),
      'lost acknowledged writes': exactly(0),
      'duplicate writes': exactly(0),
    },
    async run(fixture) {
      const service = await fixture.serve();
      let commits = 0;
      let cut = 0;
      // The creation of a voucher is a single statement with an implicit commit.
      fixture.proxy.cutsAfter = (data) => {
        if (!data.includes('COMMIT') && !data.includes('INSERT INTO "vouchers"')) return false;
        commits++;
        if (commits % 5 > 0) return false;
        cut++;
        return true;
      };
      const client = fixture.load({
        service,
        rate: 50,
        request: (number) => (number % 2 ? redeem(voucher(number).code) : create(`CUT-${number}`)),
      });
      await sleep(fixture.seconds(30, 4));
      const journal = await client.stop();
      fixture.proxy.cutsAfter = () => false;
      return {
        'commits without a response': cut,
        'failures other than 503 with Retry-After': journal.botched.count,
        'slowest request (ms)': journal.percentile(100),
        ...(await fixture.check(service, client)),
        outcomes: journal.summary,
      };
    },
  },
];

async function untilAnswered(fixture, service, request) {
  let answer;
  await timeUntil(async () => {
    answer = await fixture.send(service, request);
    return answer.status === 201;
  });
  return answer;
}
