import test from 'node:test';
import assert from 'node:assert/strict';
import { drawn, entropy, turn } from '../../dalle_edu/explore/dials.js';
import { cases, close } from './cases.js';

test('the dials give what adjust_logits gives, and count what is left', () => {
  for (const { logits, temperature, topK, topP, shares, bits } of cases.dials) {
    const found = turn(logits, temperature, topK, topP);
    close(found.share, shares, 1e-5);
    assert.equal(found.left, shares.filter((share) => share > 0).length);
    assert.ok(Math.abs(entropy(found.share) - bits) < 1e-3);
  }
});

test('draws follow the shares, and never fall on a code that is left out', () => {
  const turned = turn([0, 1, 2, 3], 1, 3, 1);
  const counts = [0, 0, 0, 0];
  for (let n = 0; n < 4000; n++) {
    counts[drawn(turned, (n + 0.5) / 4000)] += 1;
  }
  close(
    counts.map((count) => count / 4000),
    turned.share,
    1e-3,
  );
  assert.equal(counts[0], 0);
});
