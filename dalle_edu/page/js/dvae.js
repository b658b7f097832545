// The discrete VAE (chapter 5): a picture becomes a grid of tokens, and comes back. A picture is (height, width, 3),
// numbers from 0 to 1; states between the layers are {values (height * width, channels), height, width}.
import { add, argmax, linear } from './kernel.js';
import { layer, transposed } from './weights.js';

// Squares of `size` pixels become one state each: channel c * size * size + y * size + x.
export function fold(pixels, height, width, size) {
  const [rows, columns, channels] = [height / size, width / size, 3 * size * size];
  const values = new Float32Array(rows * columns * channels);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const state = (Math.floor(y / size) * columns + Math.floor(x / size)) * channels;
      const place = (y % size) * size + (x % size);
      for (let c = 0; c < 3; c++) {
        values[state + c * size * size + place] = pixels[(y * width + x) * 3 + c];
      }
    }
  }
  return { values, height: rows, width: columns };
}

// The way back; of the channels, the first 3 * size * size are the picture.
function unfold({ values, height, width }, size) {
  const channels = values.length / (height * width);
  const pixels = new Float32Array(height * width * size * size * 3);
  for (let y = 0; y < height * size; y++) {
    for (let x = 0; x < width * size; x++) {
      const state = (Math.floor(y / size) * width + Math.floor(x / size)) * channels;
      const place = (y % size) * size + (x % size);
      for (let c = 0; c < 3; c++) {
        pixels[(y * width * size + x) * 3 + c] = values[state + c * size * size + place];
      }
    }
  }
  return pixels;
}

// A convolution that keeps the size: each place's neighbourhood, nothing beyond the edge, times one matrix.
function convolve(kernel, { values, height, width }) {
  const [, channels, side] = kernel.shape;
  if (side === 1) {
    return { values: linear(kernel, values, height * width), height, width };
  }
  const half = (side - 1) / 2;
  const near = new Float32Array(height * width * channels * side * side);
  let to = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++) {
        for (let row = y - half; row <= y + half; row++) {
          for (let column = x - half; column <= x + half; column++, to++) {
            if (row >= 0 && row < height && column >= 0 && column < width) {
              near[to] = values[(row * width + column) * channels + c];
            }
          }
        }
      }
    }
  }
  return { values: linear(kernel, near, height * width), height, width };
}

const relu = (x) => ({ ...x, values: x.values.map((value) => (value > 0 ? value : 0)) });

// The largest of each square of four states; or each state four times.
function resize(x, larger) {
  const channels = x.values.length / (x.height * x.width);
  const [height, width] = larger ? [x.height * 2, x.width * 2] : [x.height / 2, x.width / 2];
  const values = new Float32Array(height * width * channels);
  for (let y = 0; y < height; y++) {
    for (let column = 0; column < width; column++) {
      for (let c = 0; c < channels; c++) {
        const at = (row, across) => x.values[(row * x.width + across) * channels + c];
        values[(y * width + column) * channels + c] = larger
          ? at(y >> 1, column >> 1)
          : Math.max(
              at(2 * y, 2 * column),
              at(2 * y, 2 * column + 1),
              at(2 * y + 1, 2 * column),
              at(2 * y + 1, 2 * column + 1),
            );
      }
    }
  }
  return { values, height, width };
}

export class DiscreteVAE {
  constructor(config, tensors) {
    this.config = config;
    this.tensors = tensors;
    this.codes = transposed(this.flat('dvae.decoder.blocks.input.weight'));
    const patches = tensors['dvae.patch_codebook.patches'];
    this.patches = patches
      ? { ...layer(tensors, 'dvae.patch_codebook.patches'), bias: null }
      : null;
  }

  flat(name) {
    const { values, shape } = this.tensors[name];
    return { values, shape: [shape[0], values.length / shape[0]] };
  }

  kernel(name) {
    return layer(this.tensors, name);
  }

  // id(x) + gain res(x): four convolutions around a narrow middle.
  block(name, x) {
    const gain = 1 / (this.config.groups * this.config.blocks_per_group) ** 2;
    let rest = x;
    for (let i = 1; i <= 4; i++) {
      rest = convolve(this.kernel(name + '.res_path.conv_' + i), relu(rest));
    }
    const wider = name + '.id_path';
    const same = this.tensors[wider + '.weight'] ? convolve(this.kernel(wider), x) : x;
    return {
      ...x,
      values: add(
        rest.values.map((value) => gain * value),
        same.values,
      ),
    };
  }

  // The groups of blocks, with a change of the grid's size between them, and the last convolution.
  network(side, first, larger) {
    let x = first;
    for (let group = 1; group <= this.config.groups; group++) {
      for (let i = 1; i <= this.config.blocks_per_group; i++) {
        x = this.block('dvae.' + side + '.blocks.group_' + group + '.block_' + i, x);
      }
      x = group < this.config.groups ? resize(x, larger) : x;
    }
    return convolve(this.kernel('dvae.' + side + '.blocks.output.conv'), relu(x));
  }

  // A picture (size, size, 3) -> its tokens, the likeliest code at each place.
  encode(pixels) {
    const { image_size: size, patch_size: patch, vocabulary, downsampling } = this.config;
    const mapped = pixels.map((value) => 0.8 * value + 0.1);
    const input = this.kernel('dvae.encoder.blocks.input');
    const logits = this.network('encoder', convolve(input, fold(mapped, size, size, patch)), false);
    const scores = logits.values;
    if (this.patches) {
      const likeness = this.likeness(fold(pixels, size, size, downsampling), vocabulary);
      add(scores, likeness);
    }
    const places = logits.height * logits.width;
    return Array.from({ length: places }, (_, i) =>
      argmax(scores.subarray(i * vocabulary, (i + 1) * vocabulary)),
    );
  }

  // How near each square of pixels is to each code's patch: sharpness (2 x.c - |c|^2).
  likeness(squares, vocabulary) {
    const { weight, columns } = this.patches;
    const lengths = Float32Array.from({ length: vocabulary }, (_, code) =>
      weight.subarray(code * columns, (code + 1) * columns).reduce((sum, v) => sum + v * v, 0),
    );
    const products = linear(this.patches, squares.values, squares.height * squares.width);
    return products.map((p, i) => this.config.sharpness * (2 * p - lengths[i % vocabulary]));
  }

  // Tokens of whole rows -> the picture of those rows, (rows * downsampling, width * downsampling, 3) in [0, 1].
  decode(tokens, width) {
    const { patch_size: patch, likelihood, decoder_input: channels, downsampling } = this.config;
    const height = tokens.length / width;
    const first = new Float32Array(tokens.length * channels);
    const bias = this.tensors['dvae.decoder.blocks.input.bias'].values;
    tokens.forEach((token, i) => {
      first.set(this.codes.weight.subarray(token * channels, (token + 1) * channels), i * channels);
      add(first.subarray(i * channels, (i + 1) * channels), bias);
    });
    const out = this.network('decoder', { values: first, height, width }, true);
    const mu = unfold(out, patch);
    const laplace = likelihood === 'logit-laplace';
    if (this.patches) {
      const { weight, columns } = this.patches;
      const values = new Float32Array(tokens.length * columns);
      tokens.forEach((token, i) => {
        values.set(weight.subarray(token * columns, (token + 1) * columns), i * columns);
      });
      add(mu, unfold({ values, height, width }, downsampling).map(laplace ? toLogit : Number));
    }
    return mu.map((value) => Math.max(0, Math.min(1, laplace ? fromLogit(value) : value)));
  }
}

// A pixel in [0, 1] as the logit-Laplace density sees it, and back (A.3).
function toLogit(value) {
  const mapped = 0.8 * Math.max(0, Math.min(1, value)) + 0.1;
  return Math.log(mapped / (1 - mapped));
}

const fromLogit = (mu) => (1 / (1 + Math.exp(-mu)) - 0.1) / 0.8;
