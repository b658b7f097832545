import test from 'node:test';
import assert from 'node:assert/strict';
import { chances, drawFrom, guided, randomNumbers } from '../../dalle_edu/page/js/sampling.js';
import { cases, close } from '../explore/cases.js';

test('guidance and temperature make the chances that Python finds', () => {
  const [withCaption, without] = cases.logits;
  const logits = guided(Float32Array.from(withCaption), without, cases.guidance);
  close(chances(logits, cases.temperature), cases.chances, 1e-6);
});

test('tokens are drawn as often as their chances say', () => {
  const wanted = [0.5, 0.3, 0.15, 0.05, 0];
  const random = randomNumbers(7, 0);
  const counts = [0, 0, 0, 0, 0];
  const draws = 20000;
  for (let i = 0; i < draws; i++) {
    counts[drawFrom(wanted, random)] += 1;
  }
  // Four standard deviations of the most uncertain of them.
  close(
    counts.map((count) => count / draws),
    wanted,
    4 * Math.sqrt(0.25 / draws),
  );
  assert.equal(counts[4], 0);
});

test('random numbers lie from 0 to below 1, are spread evenly, and differ from seed to seed', () => {
  const random = randomNumbers(1, 2);
  const values = Array.from({ length: 10000 }, random);
  assert.ok(values.every((value) => value >= 0 && value < 1));
  const mean = values.reduce((a, b) => a + b) / values.length;
  assert.ok(Math.abs(mean - 0.5) < 4 * Math.sqrt(1 / 12 / values.length));
  const firsts = new Set(Array.from({ length: 1000 }, (_, seed) => randomNumbers(seed, 0)()));
  assert.ok(firsts.size > 995);
});
