import test from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Tokenizer, unknownWords, wordsOf } from '../../dalle_edu/page/js/tokenizer.js';
import { readWeights } from '../../dalle_edu/page/js/weights.js';
import { cases } from '../explore/cases.js';

const file = readFileSync(cases.weights);
const { config } = readWeights(file.buffer.slice(file.byteOffset, file.byteOffset + file.length));
const tokenizer = new Tokenizer(config.tokenizer);

test('every caption of the data, and every odd text, becomes the same tokens', () => {
  cases.texts.forEach((text, i) =>
    assert.deepEqual(tokenizer.encode(text), cases.encoded[i], text),
  );
});

test('the words that training never showed are those that Python names', () => {
  for (const { text, words } of cases.unknown) {
    const said = unknownWords(text, cases.known);
    assert.equal(Boolean(said), words.length > 0);
    words.forEach((word) => assert.ok(said.includes('“' + word + '”'), said));
    const named = wordsOf(text).filter((word) => !Object.hasOwn(cases.known, word));
    assert.deepEqual([...new Set(named)], words);
  }
  assert.equal(unknownWords('anything', null), '');
});

test('a piece is written as a reader would write it', () => {
  const words = tokenizer.encode('a red apple').map((token) => tokenizer.written(token));
  assert.equal(words.join(''), 'aredapple');
});
