import test from 'node:test';
import assert from 'node:assert/strict';
import { cases, close } from '../explore/cases.js';
import { drawn, greedy, model } from './model.js';

const drawings = new Map();

test('the greedy tokens, the logits, the picture and its score are those of Python', () => {
  for (const wanted of cases.drawings) {
    const { text_length: length, text_vocabulary: padding } = model.config.dalle;
    assert.deepEqual(model.tokenizer.padded(wanted.prompt, length, padding), wanted.text);
    const logits = [];
    const drawing = drawn(wanted.prompt, greedy, ({ tokens, streams }) => {
      if (tokens.length % wanted.every === 0) {
        logits.push(model.dalle.logits(streams[0]));
      }
    });
    drawings.set(wanted.prompt, drawing);
    assert.deepEqual(drawing.tokens, wanted.tokens, wanted.prompt);
    logits.forEach((found, i) => close(found, wanted.logits[i], 2e-3));
    const pixels = model.picture(drawing);
    close(pixels, wanted.pixels, 1e-4);
    assert.ok(Math.abs(model.score(pixels, wanted.prompt) - wanted.score) < 1e-4);
  }
});

test('with guidance the greedy tokens are those of Python, too', () => {
  const { prompt, guided } = cases.drawings[0];
  assert.deepEqual(drawn(prompt, { ...greedy, guidance: 2 }).tokens, guided);
});

test('a picture becomes the tokens that Python finds', () => {
  const { pixels, tokens } = cases.picture;
  assert.deepEqual(model.dvae.encode(Float32Array.from(pixels)), tokens);
});

test('the chosen token was read from where the masks and the definition say', () => {
  const drawing = drawings.get(cases.drawings[0].prompt);
  const { places, layers } = cases.attention;
  const text = model.config.dalle.text_length;
  places.forEach((place, n) => {
    const looked = model.lookInto(drawing, place);
    looked.layers.forEach(({ weights, places: seen }, i) => {
      layers[i][n].forEach((row, head) => {
        const count = text + seen.length;
        const dense = new Float32Array(row.length);
        for (let j = 0; j < count; j++) {
          dense[j < text ? j : text + seen[j - text]] = weights[head * count + j];
        }
        close(dense, row, 1e-4);
      });
    });
    assert.equal(looked.chances[drawing.tokens[place]], 1);
  });
});
