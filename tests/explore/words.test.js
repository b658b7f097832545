// Attention among a few words, the merges of a tokenizer, and the learning rate, against the library's arrays.
import test from 'node:test';
import assert from 'node:assert/strict';
import { nextChange, piecesOfCaption } from '../../dalle_edu/explore/merges.js';
import { rateAt, travelled } from '../../dalle_edu/explore/schedule.js';
import { read } from '../../dalle_edu/explore/six_words.js';
import { cases, close } from './cases.js';

test('weights and mixture of each word are those of scaled_dot_product_attention', () => {
  for (const { queries, keys, values, causal, sharpness, weights, out } of cases.attention) {
    queries.forEach((_, word) => {
      const found = read({ queries, keys, values }, word, { causal, sharpness });
      close(found.weights, weights[word], 1e-5);
      close(found.mixture, out[word], 1e-5);
    });
  }
});

test('the pieces after so many merges are those of the tokenizer, and the next change is the next that matters', () => {
  for (const { words, count, pieces, next } of cases.merges.captions) {
    assert.deepEqual(piecesOfCaption(words, cases.merges.merges, count), pieces);
    assert.equal(nextChange(words, cases.merges.merges, count), next);
  }
});

test('the learning rate is that of the training loop, and the way behind is its share of the sum', () => {
  const { schedule, rates, behind } = cases.schedule;
  close(
    rates.map((_, step) => rateAt(step, schedule)),
    rates,
    1e-9,
  );
  assert.ok(Math.abs(travelled(30, schedule) - behind) < 1e-9);
});
