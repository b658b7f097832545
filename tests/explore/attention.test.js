import test from 'node:test';
import assert from 'node:assert/strict';
import { bit, bytes } from '../../dalle_edu/explore/kit.js';
import {
  decodeWeights,
  lineOf,
  meanOf,
  predictedPlace,
  sentence,
} from '../../dalle_edu/explore/attention.js';
import { cases, close } from './cases.js';

const length = cases.weights[0].length;
const maps = cases.codes.map((code) => decodeWeights(code, length, { bit, bytes }));

test('stored weights come back within half a per cent', () => {
  maps.forEach((map, i) => close(map, cases.weights[i].flat(), 0.005));
});

test('rows are what a token looks at, columns who looks at it, and the mean is over heads', () => {
  const wanted = cases.weights[1];
  close(lineOf(maps[1], 2, length, false), wanted[2], 0.005);
  close(
    lineOf(maps[1], 2, length, true),
    wanted.map((row) => row[2]),
    0.005,
  );
  close(meanOf(maps), cases.mean.flat(), 0.005);
});

test('the sentence adds text and picture, and names the word read most', () => {
  const said = sentence('The patch', [0.1, 0.3, 0.2, 0.4], ['a', 'red', ''], false);
  assert.equal(
    said,
    'The patch gives 60 % of its attention to the text, most to “red” (30.0 %), and 40 % to the picture.',
  );
});

test('the patch asked for is the one after the query, and the last one asks for none', () => {
  assert.deepEqual(
    [3, 4, 5, 11].map((query) => predictedPlace(query, 5, 7)),
    [-1, 0, 1, -1],
  );
});
