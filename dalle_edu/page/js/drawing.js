// A whole model, and a drawing that grows token by token: text -> tokens -> picture -> CLIP's score (chapter 0).
import { Clip } from './clip.js';
import { DiscreteVAE } from './dvae.js';
import { chances, drawFrom, guided, randomNumbers } from './sampling.js';
import { Tokenizer, unknownWords } from './tokenizer.js';
import { Dalle } from './transformer.js';
import { readWeights } from './weights.js';

export class DrawingModel {
  // `buffer`: the file that `dalle-edu export` wrote.
  constructor(buffer) {
    const { config, tensors } = readWeights(buffer);
    this.config = config;
    this.tokenizer = new Tokenizer(config.tokenizer);
    this.dalle = new Dalle(config.dalle, tensors);
    this.dvae = new DiscreteVAE(config.dvae, tensors);
    this.clip = config.clip ? new Clip(config.clip, tensors) : null;
  }

  // What a reader should know about a prompt: words that training never showed.
  warning(prompt) {
    return unknownWords(prompt, this.config.words);
  }

  // A drawing of which nothing is drawn yet. dials: {temperature, guidance, seed, index, given}; `given` are the tokens
  // of the first rows, if they are from another picture.
  begin(prompt, dials) {
    const { text_length: length, text_vocabulary: padding } = this.config.dalle;
    const text = this.tokenizer.padded(prompt, length, padding);
    const streams = [this.dalle.read(text)];
    if (dials.guidance !== 1) {
      streams.push(this.dalle.read(text.map((_, i) => padding + i)));
    }
    const random = randomNumbers(dials.seed, dials.index);
    return { prompt, dials, streams, random, tokens: [], given: dials.given || [] };
  }

  finished(drawing) {
    return drawing.tokens.length === this.config.dalle.picture_length;
  }

  // The chances of the next token.
  next(drawing) {
    const { temperature, guidance } = drawing.dials;
    const logits = drawing.streams.map((stream) => this.dalle.logits(stream));
    return chances(guidance === 1 ? logits[0] : guided(...logits, guidance), temperature);
  }

  // Draws one token more and returns it: {token, sure}, the chance that the likeliest one had.
  advance(drawing) {
    const found = this.next(drawing);
    const given = drawing.given[drawing.tokens.length];
    const token = given ?? drawFrom(found, drawing.random);
    this.append(drawing, token);
    return { token, sure: given === undefined ? Math.max(...found) : 1 };
  }

  append(drawing, token) {
    const place = drawing.tokens.length;
    drawing.tokens.push(token);
    if (!this.finished(drawing)) {
      drawing.streams.forEach((stream) => this.dalle.step(stream, token, place));
    }
  }

  // How the token at `place` was chosen: {chances, layers}. It was predicted by the state of the token before it (the
  // last of the text, for the first), and `layers` say what that one read: {kind, weights, places}.
  lookInto(drawing, place) {
    const kept = drawing.streams.map(({ state, looked }) => ({ state, looked }));
    const text = place === 0 ? this.begin(drawing.prompt, drawing.dials).streams : null;
    const streams = text || drawing.streams;
    if (!text) {
      streams.forEach((stream) => this.dalle.step(stream, drawing.tokens[place - 1], place - 1));
    }
    const found = { chances: this.next({ ...drawing, streams }), layers: streams[0].looked };
    drawing.streams.forEach((stream, i) => Object.assign(stream, kept[i]));
    return found;
  }

  // Another drawing with the same tokens before `place`, and `token` there; what follows is drawn anew.
  branch(drawing, place, token) {
    const { seed, index } = drawing.dials;
    const before = { ...drawing, tokens: drawing.tokens.slice(0, place), given: [] };
    before.streams = drawing.streams.map((stream) => this.dalle.copy(stream));
    before.random = randomNumbers(seed, index, place, token);
    this.append(before, token);
    return before;
  }

  // The rows that are whole -> their pixels, (height, width, 3) in [0, 1].
  picture(drawing) {
    const columns = this.config.dalle.grid[1];
    const whole = drawing.tokens.length - (drawing.tokens.length % columns);
    return this.dvae.decode(drawing.tokens.slice(0, whole), columns);
  }

  // CLIP's score of a finished picture; null for a model without a CLIP.
  score(pixels, prompt) {
    return this.clip ? this.clip.score(pixels, this.tokenizer.encode(prompt)) : null;
  }
}
