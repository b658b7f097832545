// What the small figures of chapters 1 to 5 calculate.
import test from 'node:test';
import assert from 'node:assert/strict';
import { convolve, outputSide } from '../../dalle_edu/explore/convolution.js';
import { density, divergence, drawOf } from '../../dalle_edu/explore/gaussian.js';
import { race, tally } from '../../dalle_edu/explore/gumbel_race.js';
import { nearestEntry, usage } from '../../dalle_edu/explore/nearest.js';
import { costOf } from '../../dalle_edu/explore/rates.js';
import { cases, close } from './cases.js';

test('convolutions, strided and transposed, are those of PyTorch', () => {
  assert.ok(cases.convolutions.length >= 10);
  for (const { image, kernel, how, output } of cases.convolutions) {
    const found = convolve(image, kernel, how);
    assert.equal(found.length, outputSide(image.length, kernel.length, how));
    found.forEach((line, row) => close(line, output[row], 1e-4));
    assert.equal(found.length, output.length);
  }
});

test('the price, the draws and the density of a Gaussian code are those of the library', () => {
  for (const { mean, logVariance, kl, noise, draws, z, densities } of cases.gaussians) {
    close([divergence(mean, logVariance)], [kl], 1e-5);
    close(
      noise.map((value) => drawOf(mean, logVariance, value)),
      draws,
      1e-5,
    );
    close(
      z.map((value) => density(value, mean, Math.exp(logVariance / 2))),
      densities,
      1e-5,
    );
  }
});

test('every code falls to the entry that the quantiser chooses', () => {
  const { codebook, codes, tokens, counts } = cases.nearest;
  assert.deepEqual(
    codes.map((code) => nearestEntry(code, codebook)),
    tokens,
  );
  assert.deepEqual(usage(codes, codebook), counts);
});

test('winners and relaxed draws of the race are those of the library', () => {
  const { logits, noise, temperature, shares, winners, wins } = cases.race;
  noise.forEach((line, i) => {
    const found = race(logits, line, temperature);
    assert.equal(found.winner, winners[i]);
    close(found.shares, shares[i], 1e-5);
  });
  assert.deepEqual(tally(logits, noise, noise.length), wins);
});

test('bits and pairs are counted as by hand', () => {
  const paper = costOf(256, 256, 32, 8192);
  assert.equal(paper.tokens, 1024);
  assert.equal(paper.bits, 13312);
  assert.equal(paper.numbers, 192);
  assert.equal(paper.pairs, 1280 ** 2);
});
