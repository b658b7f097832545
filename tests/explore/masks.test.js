import test from 'node:test';
import assert from 'node:assert/strict';
import { decodeMask } from '../../dalle_edu/explore/kit.js';
import {
  distances,
  layout,
  predictedBy,
  readings,
  sentence,
} from '../../dalle_edu/explore/masks.js';
import { cases, close } from './cases.js';

const masks = cases.codes.map((code) => decodeMask(code, cases.length));

test('a token reaches the query through as many layers as products of the masks say', () => {
  for (const { query, layers, far } of cases.distances) {
    close(distances(masks.slice(0, layers), query, cases.length), far, 0);
  }
});

test('what a query reads is counted as in the mask', () => {
  for (const { mask, query, counts } of cases.readings) {
    assert.deepEqual(readings(masks[mask], query, cases.text, cases.length), counts);
  }
});

test('the sentence warns of a query that reads its future', () => {
  const honest = sentence(7, { text: 2, earlier: 1, itself: 1, future: 0 }, 6, 4);
  assert.match(honest, /^Picture token 1 \(row 1, column 2\) reads 4 tokens: .*itself\.$/);
  assert.match(
    sentence(7, { text: 0, earlier: 0, itself: 0, future: 3 }, 6, 4),
    /3 of its future!$/,
  );
});

test('the place of a position on the board leads back to the position', () => {
  for (const [text, grid] of [
    [6, [4, 4]],
    [0, [3, 5]],
    [20, [2, 3]],
  ]) {
    const plan = layout(text, grid);
    for (let position = 0; position < text + grid[0] * grid[1]; position++) {
      const [column, row] = plan.place(position);
      assert.equal(plan.positionAt(column, row + 0.5), position);
    }
  }
});

test('the state at a position predicts the token after it, which is what the logits of Dalle are for', () => {
  const found = Array.from({ length: cases.length }, (_, query) =>
    predictedBy(query, cases.text, cases.length),
  );
  assert.deepEqual(found, cases.predicted);
});
