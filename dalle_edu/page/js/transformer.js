// DALL·E's transformer (chapters 8 and 9), drawing: the text is read once, then each picture token with the keys that
// its masks let it see. What earlier tokens left behind, keys and values, is kept in a cache.
import { add, gelu, layerNorm, linear, softmax } from './kernel.js';
import { pictureLags, placesSeen } from './masks.js';
import { layer, rowOf } from './weights.js';

const norm = (tensors, name) => ({
  weight: tensors[name + '.weight'].values,
  bias: tensors[name + '.bias'].values,
});

export class Dalle {
  constructor(config, tensors) {
    this.config = config;
    this.tensors = tensors;
    this.blocks = config.kinds.map((kind, i) => {
      const name = 'dalle.transformer.blocks.' + i + '.';
      return {
        kind,
        lags: pictureLags(kind, config.grid, config.kernel),
        attentionNorm: norm(tensors, name + 'attention_norm'),
        qkv: layer(tensors, name + 'attention.qkv'),
        out: layer(tensors, name + 'attention.out'),
        mlpNorm: norm(tensors, name + 'mlp_norm'),
        widen: layer(tensors, name + 'mlp.0'),
        narrow: layer(tensors, name + 'mlp.2'),
      };
    });
    this.norm = norm(tensors, 'dalle.transformer.norm');
    this.imageLogits = layer(tensors, 'dalle.image_logits');
  }

  // Reads text tokens: a stream, whose `state` predicts the first picture token. `looked` says, for each layer, what the
  // last text token read: {kind, weights (heads, text + places), places}.
  read(text) {
    const { width, picture_length: length, text_length: count } = this.config;
    let x = new Float32Array(count * width);
    text.forEach((token, i) => {
      x.set(rowOf(this.tensors['dalle.text_embedding.weight'], token), i * width);
    });
    add(x, this.tensors['dalle.text_position.weight'].values);
    const layers = [];
    const looked = [];
    for (const block of this.blocks) {
      const qkv = linear(block.qkv, layerNorm(block.attentionNorm, x), count);
      const cache = {
        keys: new Float32Array((count + length) * width),
        values: new Float32Array((count + length) * width),
      };
      layers.push(cache);
      const mixed = new Float32Array(count * width);
      let weights = null;
      for (let i = 0; i < count; i++) {
        const own = qkv.subarray(3 * i * width, 3 * (i + 1) * width);
        this.keep(cache, own, i);
        // Text sees the text before it.
        weights = this.attend(own, cache, this.textRows(i + 1), mixed.subarray(i * width));
      }
      looked.push({ kind: block.kind, weights, places: [] });
      x = this.finish(block, x, mixed, count);
    }
    const state = layerNorm(this.norm, x.subarray((count - 1) * width));
    return { layers, state, looked };
  }

  // One picture token more, at `place`: its state, which predicts the next, stands in `stream.state`.
  step(stream, token, place) {
    const { grid, text_length: count } = this.config;
    let x = Float32Array.from(rowOf(this.tensors['dalle.image_embedding.weight'], token));
    add(x, rowOf(this.tensors['dalle.row_position.weight'], Math.floor(place / grid[1])));
    add(x, rowOf(this.tensors['dalle.column_position.weight'], place % grid[1]));
    stream.looked = this.blocks.map((block, i) => {
      const own = linear(block.qkv, layerNorm(block.attentionNorm, x));
      this.keep(stream.layers[i], own, count + place);
      const places = placesSeen(block.lags, place);
      const rows = [...this.textRows(count), ...places.map((seen) => count + seen)];
      const mixed = new Float32Array(x.length);
      const weights = this.attend(own, stream.layers[i], rows, mixed);
      x = this.finish(block, x, mixed, 1);
      return { kind: block.kind, weights, places };
    });
    stream.state = layerNorm(this.norm, x);
    return stream.state;
  }

  // Logits of the next picture token.
  logits(stream) {
    return linear(this.imageLogits, stream.state);
  }

  // A stream that goes its own way from here on.
  copy(stream) {
    const layers = stream.layers.map(({ keys, values }) => ({
      keys: keys.slice(),
      values: values.slice(),
    }));
    return { layers, state: stream.state, looked: stream.looked };
  }

  textRows(count) {
    return Array.from({ length: count }, (_, i) => i);
  }

  // `own`: query, key and value of one token; key and value go into row `row` of the cache.
  keep(cache, own, row) {
    const width = this.config.width;
    cache.keys.set(own.subarray(width, 2 * width), row * width);
    cache.values.set(own.subarray(2 * width, 3 * width), row * width);
  }

  // softmax(q k / sqrt(d)) v, head by head, over the rows of the cache that may be seen; the result goes into `mixed`.
  // Returns the weights (heads, rows).
  attend(query, { keys, values }, rows, mixed) {
    const { width, heads } = this.config;
    const size = width / heads;
    const all = new Float32Array(heads * rows.length);
    for (let head = 0; head < heads; head++) {
      const weights = all.subarray(head * rows.length, (head + 1) * rows.length);
      const first = head * size;
      for (let n = 0; n < rows.length; n++) {
        const at = rows[n] * width;
        let score = 0;
        for (let i = first; i < first + size; i++) {
          score += query[i] * keys[at + i];
        }
        weights[n] = score / Math.sqrt(size);
      }
      softmax(weights);
      for (let n = 0; n < rows.length; n++) {
        const [at, weight] = [rows[n] * width, weights[n]];
        for (let i = first; i < first + size; i++) {
          mixed[i] += weight * values[at + i];
        }
      }
    }
    return all;
  }

  // The rest of a block: what attention brought is added, then what the two-layer network makes of it.
  finish(block, x, mixed, count) {
    const states = add(linear(block.out, mixed, count), x);
    const wide = gelu(linear(block.widen, layerNorm(block.mlpNorm, states), count));
    return add(linear(block.narrow, wide, count), states);
  }
}
