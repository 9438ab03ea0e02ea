import assert from 'node:assert/strict';
import { test } from 'node:test';
import pino from 'pino';
import { Registry } from 'prom-client';
import { catalogue } from '../../../../lib/ops/catalogue.ts';
import { readConfig } from '../../../../lib/ops/config.ts';
import { withTraceId } from '../../../../lib/ops/log.ts';
import { isSampled, traceIdOf } from '../../../../lib/ops/trace.ts';
import type { Tracer } from '../../../../lib/ops/tracing/tracer.ts';
import { openTracing } from '../../../../lib/ops/tracing/tracing.ts';
import { freePorts } from '../../../support/free-ports.ts';
import { openTraceCollector, type TraceCollector } from '../../../support/trace-collector.ts';
import { until } from '../../../support/until.ts';

const trace = '0af7651916cd43dd8448eb211c80319c';
const sampled = `00-${trace}-b7ad6b7169203331-01`;
const unsampled = `00-${trace}-b7ad6b7169203331-00`;

/** Traces of a process that sends to `endpoint`, with what it logs and counts. */
async function traces(endpoint: string, variables: Record<string, string> = {}) {
  const config = readConfig(catalogue, ['tracing', 'drain'], {
    PENSTOCK_TRACING_ENDPOINT: endpoint,
    PENSTOCK_TRACING_INTERVAL_MS: '10',
    ...variables,
  });
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const metrics = new Registry();
  const tracing = await openTracing({ service: 'gateway', config, log, metrics });
  const { tracer } = tracing;
  assert.ok(tracer);
  return {
    tracer,
    lines: (event: string) => lines.filter(line => line.event === event),
    close: tracing.close,
    async count(name: string, reason?: string): Promise<number> {
      const { values = [] } = (await metrics.getSingleMetric(name)?.get()) ?? {};
      return values.filter(({ labels }) => labels.reason === reason).reduce((sum, { value }) => sum + value, 0);
    },
  };
}

async function withCollector(run: (collector: TraceCollector) => Promise<void>): Promise<void> {
  const collector = await openTraceCollector();
  try {
    await run(collector);
  } finally {
    await collector.close();
  }
}

const once = (tracer: Tracer, name: string, parent?: string): string => {
  const span = tracer.begin('server', name, parent);
  span.end();
  return span.traceparent;
};

test('without an endpoint there is no tracer', async () => {
  const config = readConfig(catalogue, ['tracing', 'drain'], {});
  const tracing = await openTracing({ service: 'gateway', config, log: pino(), metrics: new Registry() });
  assert.equal(tracing.tracer, undefined);
  await tracing.close();
});

test('a span goes on with the trace of its parent, and arrives with its attributes, headers and who sent it', () =>
  withCollector(async collector => {
    const { tracer, close } = await traces(`${collector.url}/`, {
      PENSTOCK_TRACING_HEADERS: 'authorization=Bearer%20abc, x-team = bank',
      PENSTOCK_TRACING_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
    });
    const parent = tracer.begin('consumer', 'process notes', sampled, {
      'messaging.kafka.offset': 7,
      absent: undefined,
    });
    const child = tracer.begin('producer', 'send notes', parent.traceparent, undefined, Date.now() - 1_000);
    parent.set({ 'penstock.verdict': 'accepted' });
    child.end('ProduceError');
    child.end();
    parent.end();
    await close();
    const [produced, processed] = collector.spans;
    assert.deepEqual(
      [processed?.traceId, processed?.parentSpanId, processed?.kind, processed?.attributes, processed?.failed],
      [trace, 'b7ad6b7169203331', 'consumer', { 'messaging.kafka.offset': 7, 'penstock.verdict': 'accepted' }, false],
    );
    assert.equal(parent.traceparent, `00-${trace}-${processed?.spanId}-01`);
    assert.deepEqual(
      [produced?.parentSpanId, produced?.attributes, produced?.failed],
      [processed?.spanId, { 'error.type': 'ProduceError' }, true],
    );
    assert.ok((produced?.durationMs ?? 0) >= 1_000);
    assert.equal(collector.spans.length, 2);
    const { authorization, 'x-team': team, 'content-type': type } = collector.headers();
    assert.deepEqual([authorization, team, type], ['Bearer abc', 'bank', 'application/json']);
    assert.match(collector.text(), /"service\.name","value":\{"stringValue":"penstock-gateway"\}/);
    assert.match(collector.text(), /"deployment\.environment\.name","value":\{"stringValue":"test"\}/);
  }));

test('the sampled flag of a parent decides, the ratio only where a trace begins', () =>
  withCollector(async collector => {
    const none = await traces(collector.url, { PENSTOCK_TRACING_SAMPLE_RATIO: '0' });
    assert.equal(isSampled(once(none.tracer, 'a root')), false);
    assert.equal(isSampled(once(none.tracer, 'of a trace that is recorded', sampled)), true);
    const all = await traces(collector.url);
    assert.equal(isSampled(once(all.tracer, 'a root')), true);
    const handedOn = once(all.tracer, 'of a trace that is not recorded', unsampled);
    assert.deepEqual([traceIdOf(handedOn), isSampled(handedOn)], [trace, false]);
    assert.equal(isSampled(once(all.tracer, 'of something else', 'not a traceparent')), true);
    await Promise.all([none.close(), all.close()]);
    assert.deepEqual(collector.spans.map(({ name }) => name).sort(), [
      'a root',
      'of a trace that is recorded',
      'of something else',
    ]);

    // 10,000 draws: the share is off by 0.05 once in 10^23 runs.
    const half = await traces(collector.url, { PENSTOCK_TRACING_SAMPLE_RATIO: '0.5' });
    const begun = Array.from({ length: 10_000 }, () => half.tracer.begin('server', 'a root', undefined));
    const share = begun.filter(({ traceparent }) => isSampled(traceparent)).length / begun.length;
    assert.ok(Math.abs(share - 0.5) < 0.05, String(share));
    await half.close();
  }));

test('what the queue has no room for is dropped and counted', () =>
  withCollector(async collector => {
    const few = { PENSTOCK_TRACING_QUEUE_SPANS: '512', PENSTOCK_TRACING_TIMEOUT_MS: '500' };
    const { tracer, count, close } = await traces(collector.url, few);
    collector.answerWith(undefined);
    // The first batch is on its way and is never answered; behind it the queue fills.
    for (let index = 0; index < 512 + 512 + 100; index++) once(tracer, 'a root');
    assert.equal(await count('penstock_traces_dropped_total', 'queue'), 100);
    assert.equal(await count('penstock_traces_exported_total'), 0);
    await close();
  }));

test('a collector that is dead costs a count and one line, and one more when it is back', async () => {
  const [port = 0] = await freePorts(1);
  const { tracer, lines, count, close } = await traces(`http://127.0.0.1:${port}`, {
    PENSTOCK_TRACING_TIMEOUT_MS: '100',
  });
  for (let batch = 1; batch <= 3; batch++) {
    once(tracer, 'lost');
    await until(
      'the batch is given up',
      async () => (await count('penstock_traces_dropped_total', 'export')) === batch,
    );
  }
  assert.equal(lines('traces_dropped').length, 1);
  assert.match(String(lines('traces_dropped')[0]?.reason), /ECONNREFUSED/);
  const collector = await openTraceCollector(port);
  once(tracer, 'taken');
  await until('it is taken', () => collector.spans.length > 0);
  await until('it is counted', async () => (await count('penstock_traces_exported_total')) === 1);
  collector.answerWith(400);
  once(tracer, 'refused');
  await until('it is refused', async () => (await count('penstock_traces_dropped_total', 'export')) === 4);
  assert.deepEqual([lines('traces_dropped').length, lines('traces_sent_again').length], [2, 1]);
  await close();
  await collector.close();
});

test('a drain sends what waits, and does not wait for a collector that hangs', () =>
  withCollector(async collector => {
    const slow = {
      PENSTOCK_TRACING_INTERVAL_MS: '600000',
      PENSTOCK_TRACING_TIMEOUT_MS: '500',
      PENSTOCK_DRAIN_TIMEOUT_MS: '1000',
    };
    const live = await traces(collector.url, slow);
    once(live.tracer, 'the last');
    await live.close();
    assert.deepEqual([collector.spans.map(({ name }) => name), live.lines('traces_lost')], [['the last'], []]);
    collector.answerWith(undefined);
    const hung = await traces(collector.url, slow);
    once(hung.tracer, 'lost');
    await hung.close();
    assert.equal(hung.lines('traces_lost')[0]?.spans, 1);
  }));

test('a line with a traceparent carries its trace id', () => {
  assert.deepEqual(withTraceId({ traceparent: sampled, a: 1 }), { traceparent: sampled, a: 1, traceId: trace });
  for (const line of [{ a: 1 }, { traceparent: undefined }, { traceparent: 'x' }])
    assert.equal(withTraceId(line), line);
});

test('a bad endpoint, header or ratio is refused at start', () => {
  const refused = (variables: Record<string, string>) =>
    assert.throws(() => readConfig(catalogue, ['tracing'], variables), /configuration refused/);
  refused({ PENSTOCK_TRACING_ENDPOINT: 'collector:4318' });
  refused({ PENSTOCK_TRACING_HEADERS: 'authorization' });
  refused({ PENSTOCK_TRACING_HEADERS: 'a b=c' });
  refused({ PENSTOCK_TRACING_HEADERS: 'a=%0d%0ab' });
  refused({ PENSTOCK_TRACING_HEADERS: 'a=%' });
  refused({ PENSTOCK_TRACING_SAMPLE_RATIO: '1.5' });
  refused({ PENSTOCK_TRACING_SAMPLE_RATIO: 'half' });
});
