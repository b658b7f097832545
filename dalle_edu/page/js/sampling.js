// From logits to a token (chapter 11). Randomness comes from a seed, and each sample has its own.
import { argmax, softmax } from './kernel.js';

// Numbers from 0 to 1, never 1, from a seed of several whole numbers (mulberry32 by T. Ettinger, public domain).
export function randomNumbers(...seeds) {
  let state = seeds.reduce((mixed, seed) => Math.imul(mixed ^ seed, 0x9e3779b1) + 0x7f4a7c15, 1);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

// without + guidance (with - without): away from what any picture would show, towards the caption's.
export function guided(withCaption, without, guidance) {
  return withCaption.map((logit, i) => without[i] + guidance * (logit - without[i]));
}

// softmax(logits / temperature); temperature 0 leaves the likeliest token alone.
export function chances(logits, temperature) {
  if (temperature === 0) {
    const best = argmax(logits);
    return logits.map((_, i) => (i === best ? 1 : 0));
  }
  return softmax(logits.map((logit) => logit / temperature));
}

// One exact draw: the largest p / e, with e exponential (the Gumbel-max trick of chapter 4).
export function drawFrom(probabilities, random) {
  return argmax(probabilities.map((p) => p / Math.max(-Math.log(1 - random()), 1e-30)));
}
