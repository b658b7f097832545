import test from 'node:test';
import assert from 'node:assert/strict';
import { pictureLags, placesSeen } from '../../dalle_edu/page/js/masks.js';
import { cases } from '../explore/cases.js';

test('the lags of each mask are those of Python', () => {
  for (const { kind, grid, kernel, lags } of cases.masks) {
    assert.deepEqual(pictureLags(kind, grid, kernel), lags);
  }
});

test('the places seen rise to the token itself, and none lies before the picture', () => {
  assert.deepEqual(placesSeen(pictureLags('row', [4, 4], 3), 2), [0, 1, 2]);
  assert.deepEqual(placesSeen(pictureLags('column', [4, 4], 3), 9), [1, 5, 9]);
});
