import { describe, expect, it } from '@jest/globals';
import { parseTrace, traceFields as fieldsOf } from './trace.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

const traceFields = (headers: Parameters<typeof parseTrace>[0], project?: string) =>
  fieldsOf(parseTrace(headers), project);

describe('traceFields', () => {
  it('prefers traceparent', () => {
    const headers = { traceparent: `00-${TRACE}-${SPAN}-01`, 'x-cloud-trace-context': `${'1'.repeat(32)}/1;o=0` };
    expect(traceFields(headers, 'my-project')).toEqual({
      'logging.googleapis.com/trace': `projects/my-project/traces/${TRACE}`,
      'logging.googleapis.com/spanId': SPAN,
      'logging.googleapis.com/trace_sampled': true,
    });
  });

  it('falls back to X-Cloud-Trace-Context, which has a decimal span id', () => {
    expect(traceFields({ 'x-cloud-trace-context': `${TRACE}/13235353014750950193;o=1` }, undefined)).toEqual({
      'logging.googleapis.com/trace': TRACE,
      'logging.googleapis.com/spanId': SPAN,
      'logging.googleapis.com/trace_sampled': true,
    });
  });

  it('omits a missing span id', () => {
    expect(traceFields({ 'x-cloud-trace-context': TRACE }, 'p')).toEqual({
      'logging.googleapis.com/trace': `projects/p/traces/${TRACE}`,
      'logging.googleapis.com/trace_sampled': false,
    });
  });

  it.each([
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}`,
    'nonsense',
    '',
  ])('ignores the invalid traceparent "%s"', (traceparent) => {
    expect(traceFields({ traceparent }, 'p')).toEqual({});
  });

  it.each([`${'0'.repeat(32)}/1;o=1`, 'nonsense', `${TRACE}/x`])(
    'ignores the invalid X-Cloud-Trace-Context "%s"',
    (header) => {
      expect(traceFields({ 'x-cloud-trace-context': header }, 'p')).toEqual({});
    },
  );
});
