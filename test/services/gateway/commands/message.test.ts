import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandRecord } from '../../../../services/gateway/commands/message.ts';

test('a command record is a CloudEvent in binary mode, keyed by the user', () => {
  const record = commandRecord({
    plan: { type: 'openAccount' },
    commandId: '8f0c9b10-8e40-4b2d-b7ed-df8679cdfba2',
    userKey: 'älice',
    arguments: { commandId: null, text: 'é' },
    traceparent: '00-b4a0fc04aa9f703956e4fe78a1eae6c8-647e2863fb075aec-01',
    timeMs: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  });
  assert.deepEqual(record, {
    key: 'älice',
    value: '{"commandId":null,"text":"é"}',
    headers: {
      ce_specversion: '1.0',
      ce_id: '8f0c9b10-8e40-4b2d-b7ed-df8679cdfba2',
      ce_type: 'openAccount',
      ce_source: '/penstock/gateway',
      ce_time: '2026-01-02T03:04:05.006Z',
      'content-type': 'application/json',
      traceparent: '00-b4a0fc04aa9f703956e4fe78a1eae6c8-647e2863fb075aec-01',
    },
  });
});
