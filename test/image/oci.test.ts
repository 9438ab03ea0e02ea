import assert from 'node:assert/strict';
import { test } from 'node:test';
import { referenceOf } from '../../image/oci.ts';

test('an archive names its image in full, as the kubelet asks for it', () => {
  for (const [name, reference] of [
    ['penstock:0.1.0', 'docker.io/library/penstock:0.1.0'],
    ['somebody/penstock:0.1.0', 'docker.io/somebody/penstock:0.1.0'],
    ['registry.example/penstock:0.1.0', 'registry.example/penstock:0.1.0'],
    ['localhost/penstock:0.1.0', 'localhost/penstock:0.1.0'],
    ['registry:5000/penstock:0.1.0', 'registry:5000/penstock:0.1.0'],
  ] as const) {
    assert.equal(referenceOf(name), reference);
  }
});
