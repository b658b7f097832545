import test from 'node:test';
import assert from 'node:assert/strict';
import { cases } from '../explore/cases.js';
import { drawn, greedy, model } from './model.js';

test('what begins with given rows keeps them, and goes on from them', () => {
  const { prompt } = cases.drawings[0];
  const given = cases.picture.tokens.slice(0, model.config.dalle.grid[1]);
  const drawing = drawn(prompt, { ...greedy, given });
  assert.deepEqual(drawing.tokens.slice(0, given.length), given);
  // The first row of its own drawing changes nothing.
  const own = cases.drawings[0].tokens;
  assert.deepEqual(drawn(prompt, { ...greedy, given: own.slice(0, given.length) }).tokens, own);
});

test('a branch is what drawing with the same beginning gives, and leaves the other drawing alone', () => {
  const { prompt } = cases.drawings[0];
  const drawing = drawn(prompt);
  const before = [...drawing.tokens];
  const place = Math.floor(before.length / 2);
  const token = (before[place] + 1) % model.config.dalle.image_vocabulary;
  model.lookInto(drawing, place);
  const branch = model.branch(drawing, place, token);
  while (!model.finished(branch)) {
    model.advance(branch);
  }
  const given = [...before.slice(0, place), token];
  assert.deepEqual(branch.tokens, drawn(prompt, { ...greedy, given }).tokens);
  assert.deepEqual(drawing.tokens, before);
});

test('a seed draws the same again, another seed and another sample something else', () => {
  const { prompt } = cases.drawings[0];
  const draw = (seed, index) => drawn(prompt, { temperature: 1, guidance: 1, seed, index }).tokens;
  const first = draw(3, 0);
  assert.deepEqual(draw(3, 0), first);
  assert.notDeepEqual(draw(3, 1), first);
  assert.notDeepEqual(draw(4, 0), first);
});

test('an empty prompt and one that is too long are refused in a sentence', () => {
  assert.throws(() => model.begin(' \n', greedy), /empty/);
  assert.throws(() => model.begin('a blue fish '.repeat(60), greedy), /tokens, at most/);
});

test('how sure the model was is the largest chance; of what was given it was not asked', () => {
  const { prompt } = cases.drawings[0];
  const drawing = model.begin(prompt, { ...greedy, temperature: 1, given: [1] });
  assert.deepEqual(model.advance(drawing), { token: 1, sure: 1 });
  const most = Math.max(...model.next(drawing));
  assert.ok(most < 1);
  assert.equal(model.advance(drawing).sure, most);
});
