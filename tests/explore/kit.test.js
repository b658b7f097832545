import test from 'node:test';
import assert from 'node:assert/strict';
import { decodeMask, following, scale, softmax, step } from '../../dalle_edu/explore/kit.js';
import { cases, close } from './cases.js';

test('a stored mask comes back as Python wrote it, in runs and in bits', () => {
  const forms = new Set();
  for (const { code, mask } of cases.masks) {
    const found = decodeMask(code, mask.length);
    close(found, mask.flat().map(Number), 0);
    forms.add('bits' in code ? 'bits' : 'runs');
  }
  assert.deepEqual([...forms].toSorted(), ['bits', 'runs']);
});

test('the softmax is that of Python, for logits of any size', () => {
  cases.logits.forEach((logits, i) => close(softmax(logits), cases.softmax[i]));
});

test('arrow keys walk over a grid and stop at its ends; other keys mean nothing', () => {
  assert.equal(step('ArrowRight', 3, 4, 12), 4);
  assert.equal(step('ArrowUp', 2, 4, 12), 0);
  assert.equal(step('ArrowDown', 9, 4, 12), 11);
  assert.equal(step('Home', 9, 4, 12), 0);
  assert.equal(step('End', 0, 4, 12), 11);
  assert.equal(step('a', 0, 4, 12), undefined);
});

test('the following place goes round, and stays where there is none', () => {
  assert.equal(
    following(4, 6, (place) => place === 1),
    1,
  );
  assert.equal(
    following(4, 6, () => false),
    4,
  );
});

test('a scale maps its ends to the ends, logarithms too', () => {
  const line = scale({ low: 1, high: 100, log: true }, 0, 200);
  assert.deepEqual([line(1), line(10), line(100)].map(Math.round), [0, 100, 200]);
});
