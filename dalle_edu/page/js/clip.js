// CLIP says how well a picture and a sentence go together (chapter 12): open_clip's, at a small size.
import { add, gelu, layerNorm, linear, normalised, softmax } from './kernel.js';
import { fold } from './dvae.js';
import { layer, rowOf, transposed } from './weights.js';

export class Clip {
  constructor(config, tensors) {
    this.config = config;
    this.tensors = tensors;
    this.imageProjection = transposed(tensors['clip.visual.proj']);
    this.textProjection = transposed(tensors['clip.text_projection']);
  }

  norm(name, x) {
    const [weight, bias] = ['.weight', '.bias'].map((end) => this.tensors[name + end].values);
    return layerNorm({ weight, bias }, x);
  }

  // `depth` blocks over `count` states; `causal`: each sees those before it.
  transformer(name, states, { count, depth, heads, causal }) {
    let x = states;
    for (let i = 0; i < depth; i++) {
      const block = name + '.resblocks.' + i;
      const normed = this.norm(block + '.ln_1', x);
      const project = layer(
        this.tensors,
        block + '.attn.in_proj_weight',
        block + '.attn.in_proj_bias',
      );
      const mixed = attention(linear(project, normed, count), { count, heads, causal });
      x = add(linear(layer(this.tensors, block + '.attn.out_proj'), mixed, count), x);
      const wide = linear(
        layer(this.tensors, block + '.mlp.c_fc'),
        this.norm(block + '.ln_2', x),
        count,
      );
      x = add(linear(layer(this.tensors, block + '.mlp.c_proj'), gelu(wide), count), x);
    }
    return x;
  }

  // A picture (size, size, 3) in [0, 1] -> its embedding, of length 1.
  image(pixels) {
    const { image_size: size, patch_size: patch, width, depth, heads } = this.config;
    const squares = fold(
      pixels.map((value) => 2 * value - 1),
      size,
      size,
      patch,
    );
    const count = squares.height * squares.width + 1;
    const x = new Float32Array(count * width);
    x.set(this.tensors['clip.visual.class_embedding'].values);
    x.set(linear(layer(this.tensors, 'clip.visual.conv1'), squares.values, count - 1), width);
    add(x, this.tensors['clip.visual.positional_embedding'].values);
    const how = { count, depth, heads, causal: false };
    const out = this.transformer(
      'clip.visual.transformer',
      this.norm('clip.visual.ln_pre', x),
      how,
    );
    const first = this.norm('clip.visual.ln_post', out.subarray(0, width));
    return normalised(linear(this.imageProjection, first));
  }

  // A text's tokens -> its embedding, of length 1. The state at the mark of the end is the text's.
  text(tokens) {
    const {
      text_length: most,
      text_width: width,
      text_depth: depth,
      text_heads: heads,
    } = this.config;
    const marked = [...tokens.slice(0, most), this.config.end];
    const x = new Float32Array(marked.length * width);
    marked.forEach((token, i) => {
      x.set(rowOf(this.tensors['clip.token_embedding.weight'], token), i * width);
      add(
        x.subarray(i * width, (i + 1) * width),
        rowOf(this.tensors['clip.positional_embedding'], i),
      );
    });
    const how = { count: marked.length, depth, heads, causal: true };
    const out = this.transformer('clip.transformer', x, how);
    const last = this.norm('clip.ln_final', out.subarray((marked.length - 1) * width));
    return normalised(linear(this.textProjection, last));
  }

  // The cosine of a picture and a text.
  score(pixels, tokens) {
    const text = this.text(tokens);
    return this.image(pixels).reduce((sum, value, i) => sum + value * text[i], 0);
  }
}

// Queries, keys and values (count, 3 * width) -> what each state read: (count, width).
function attention(qkv, { count, heads, causal }) {
  const width = qkv.length / count / 3;
  const size = width / heads;
  const mixed = new Float32Array(count * width);
  for (let i = 0; i < count; i++) {
    const seen = causal ? i + 1 : count;
    for (let first = 0; first < width; first += size) {
      const weights = new Float32Array(seen);
      for (let j = 0; j < seen; j++) {
        const [query, key] = [3 * i * width + first, (3 * j + 1) * width + first];
        for (let n = 0; n < size; n++) {
          weights[j] += (qkv[query + n] * qkv[key + n]) / Math.sqrt(size);
        }
      }
      softmax(weights);
      for (let j = 0; j < seen; j++) {
        const value = (3 * j + 2) * width + first;
        for (let n = 0; n < size; n++) {
          mixed[i * width + first + n] += weights[j] * qkv[value + n];
        }
      }
    }
  }
  return mixed;
}
