// The smaller calculations of the other explorers.
import test from 'node:test';
import assert from 'node:assert/strict';
import { rightDrawings, telling } from '../../dalle_edu/explore/abilities.js';
import { rightAmong, stairs } from '../../dalle_edu/explore/best_of.js';
import { placesOf, squareAt } from '../../dalle_edu/explore/codebook.js';
import { hesitates, leastSure } from '../../dalle_edu/explore/film.js';
import { decodeMask } from '../../dalle_edu/explore/kit.js';
import { nearestStep, valueAt } from '../../dalle_edu/explore/latent.js';
import { kindOf, walk } from '../../dalle_edu/explore/rewriting.js';
import { bestAt, crossing, scientific } from '../../dalle_edu/explore/scaling.js';
import { nearest, scaleAt, standing } from '../../dalle_edu/explore/similarity.js';
import { largest, relaxed } from '../../dalle_edu/explore/simplex.js';
import { holds, placeVector, predicts } from '../../dalle_edu/explore/stream.js';
import { apart, stateOf } from '../../dalle_edu/explore/tiles.js';
import { dearest, likely, sums } from '../../dalle_edu/explore/token_loss.js';
import { cases, close } from './cases.js';

test('relaxed draws are those of the module, and the largest category is the sampled one', () => {
  for (const { logits, noise, temperature, shares } of cases.simplex) {
    noise.forEach((g, i) => {
      const found = relaxed(logits, g, temperature);
      close(found, shares[i], 1e-5);
      assert.equal(largest(found), largest(logits.map((logit, k) => logit + g[k])));
    });
  }
});

test('place and softmax share of every caption are those of Python', () => {
  cases.similarity.cosines.forEach((line, row) => {
    assert.equal(nearest(line), cases.similarity.nearest[row]);
    line.forEach((_, column) => {
      const { place, share } = standing(line, column, cases.similarity.scale);
      assert.equal(place, cases.similarity.place[row][column]);
      assert.ok(Math.abs(share - cases.similarity.share[row][column]) < 1e-6);
    });
  });
  assert.equal(scaleAt(Math.round(10 * Math.log(14.3)), 14.3), 14.3);
});

test('each form of attention computes the pairs that the library computes', () => {
  for (const { code, needed, form, computed, text, length } of cases.tiles) {
    const blocks = decodeMask(code, length);
    const mask = decodeMask(needed, length);
    const pairs = decodeMask(computed, length);
    mask.forEach((wanted, at) => {
      const between = Math.floor(at / length) < text && at % length < text;
      const state = stateOf(form, wanted, blocks[at], between);
      assert.equal(state > 0, Boolean(pairs[at]), `${form}, entry ${at}`);
      assert.equal(state === 2, Boolean(wanted));
    });
  }
});

test('labels that would stand on each other are moved apart', () => {
  const found = apart(
    [
      ['a', 50],
      ['b', 10],
      ['c', 12],
    ],
    13,
  );
  assert.deepEqual(found, [
    ['b', 10],
    ['c', 23],
    ['a', 50],
  ]);
});

test('the places of a code are those where its token stands', () => {
  for (const { code, places } of cases.codebook.asked) {
    assert.deepEqual(placesOf(code, cases.codebook.tokens), places);
  }
  assert.deepEqual(
    [0.001, 0.03, 0.51, 0.97].map((share) => squareAt(share, 4)),
    [-1, 0, 2, 3],
  );
});

test('the grid of the latent plane has the numbers of the module', () => {
  const { low, high, steps, values } = cases.latent;
  [0, 1].forEach((axis) =>
    close(
      values[axis].map((_, i) => valueAt(i, axis, { low, high, steps })),
      values[axis],
      1e-5,
    ),
  );
  assert.deepEqual(
    [-1, 0.5, 2].map((share) => nearestStep(share, 5)),
    [0, 2, 4],
  );
});

test('sums, dearest token and probability of the losses are those of Python', () => {
  const { nats, cumulative, dear } = cases.losses;
  close(sums(nats), cumulative, 1e-4);
  assert.equal(dearest(nats), dear);
  assert.equal(likely(Math.log(2)), '50 %');
  assert.equal(likely(Math.log(80)), '1.3 %');
});

test('the stream names what each position holds, and padding is no target', () => {
  const data = { length: 4, vocabulary: 300, grid: [2, 2] };
  const words = [
    ['a', 7],
    [' red', 9],
  ];
  const tokens = [5, 6, 7, 8];
  assert.equal(holds(1, words, tokens, data), 'the word piece “red”, token 9');
  assert.equal(holds(3, words, tokens, data), 'padding of place 3, token 303');
  assert.equal(predicts(1, words, tokens, data), 'nothing: padding is no target');
  assert.equal(predicts(3, words, tokens, data), 'picture token 5, row 0, column 0');
  assert.equal(predicts(7, words, tokens, data), 'nothing: the picture is finished');
  assert.equal(placeVector(6, 4, 2), 'row vector 1 + column vector 0');
});

test('the film opens where the first share is lowest, once a quarter is drawn', () => {
  const share = [[100], [900], [800], [450], [990], [999], [999], [999]];
  assert.equal(leastSure(share), 3);
  assert.deepEqual(share.map(hesitates).indexOf(true), 0);
});

test('the scaling figure opens where another size becomes the best', () => {
  const loss = [
    [6, 2, 1.5, 1.4],
    [6, 3, 1, 0.9],
  ];
  assert.equal(bestAt(loss, 1), 0);
  assert.equal(crossing(loss), 2);
  assert.equal(scientific(1.234e12), '1.2 · 10¹²');
});

test('the stairs of the best score go up where the winner changes', () => {
  const { scores, best, right, counts } = cases.best;
  const line = stairs(scores, best);
  close(
    best.map((_, i) => line.findLast(([n]) => n === i + 1)[1]),
    cases.best.highest,
    1e-6,
  );
  counts.forEach((count, i) => assert.equal(rightAmong(right, i + 1), count));
});

test('the gallery opens on a caption with right and wrong drawings', () => {
  const cards = [
    [1, 1, 1, 1],
    [1, 1, 1, 0],
    [1, 1, 0, 0],
  ].map((all) => ({ all }));
  assert.equal(telling(cards), 1);
  assert.equal(rightDrawings(cards[0].all), 2);
});

test('arrow keys stop at each edge of the picture, and kinds of codes have names', () => {
  assert.equal(walk('ArrowRight', 3, 4, 3), 3);
  assert.equal(walk('ArrowDown', 3, 4, 3), 7);
  assert.deepEqual(
    [0, 1, 4].map((choice) => kindOf(choice, 3)),
    ['its own', 'a runner-up', 'a stranger'],
  );
});
