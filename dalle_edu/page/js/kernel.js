// The arithmetic under everything: matrix products, norms, softmax. Numbers are kept in 32 bits and added up in 64,
// JavaScript's own kind. An array of states is flat, one state after the other.

// out[n] = weight x[n] + bias for `count` states: x (count, columns), weight (rows, columns) -> (count, rows).
// Four rows at a time: each number of x is read once for four products, and the four sums do not wait for each other.
export function linear(layer, x, count = 1) {
  const { weight, rows, columns } = layer;
  const out = new Float32Array(count * rows);
  const whole = rows - (rows % 4);
  for (let n = 0; n < count; n++) {
    const [from, to] = [n * columns, n * rows];
    for (let row = 0; row < whole; row += 4) {
      const a = row * columns;
      const b = a + columns;
      const c = b + columns;
      const d = c + columns;
      let [s, t, u, v] = [0, 0, 0, 0];
      for (let i = 0; i < columns; i++) {
        const value = x[from + i];
        s += weight[a + i] * value;
        t += weight[b + i] * value;
        u += weight[c + i] * value;
        v += weight[d + i] * value;
      }
      out[to + row] = s;
      out[to + row + 1] = t;
      out[to + row + 2] = u;
      out[to + row + 3] = v;
    }
    for (let row = whole; row < rows; row++) {
      for (let i = 0; i < columns; i++) {
        out[to + row] += weight[row * columns + i] * x[from + i];
      }
    }
    if (layer.bias) {
      for (let row = 0; row < rows; row++) {
        out[to + row] += layer.bias[row];
      }
    }
  }
  return out;
}

// Each state with mean 0 and variance 1, then scaled and shifted: (count, width) -> the same.
export function layerNorm({ weight, bias }, x) {
  const width = weight.length;
  const out = new Float32Array(x.length);
  for (let at = 0; at < x.length; at += width) {
    let mean = 0;
    for (let i = 0; i < width; i++) {
      mean += x[at + i] / width;
    }
    let variance = 0;
    for (let i = 0; i < width; i++) {
      variance += (x[at + i] - mean) ** 2 / width;
    }
    const scale = 1 / Math.sqrt(variance + 1e-5);
    for (let i = 0; i < width; i++) {
      out[at + i] = (x[at + i] - mean) * scale * weight[i] + bias[i];
    }
  }
  return out;
}

// The error function to 1.5e-7 (Abramowitz & Stegun 1964, 7.1.26).
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const tail =
    t *
    (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) *
    Math.exp(-x * x);
  return x < 0 ? tail - 1 : 1 - tail;
}

// x times the chance that a normal number is smaller, in place (Hendrycks & Gimpel 2016).
export function gelu(x) {
  for (let i = 0; i < x.length; i++) {
    x[i] = 0.5 * x[i] * (1 + erf(x[i] * Math.SQRT1_2));
  }
  return x;
}

// x + y, into x.
export function add(x, y) {
  for (let i = 0; i < x.length; i++) {
    x[i] += y[i];
  }
  return x;
}

// Logits to probabilities, in place.
export function softmax(x) {
  let most = -Infinity;
  for (const value of x) {
    most = Math.max(most, value);
  }
  let sum = 0;
  for (let i = 0; i < x.length; i++) {
    x[i] = Math.exp(x[i] - most);
    sum += x[i];
  }
  for (let i = 0; i < x.length; i++) {
    x[i] /= sum;
  }
  return x;
}

// Where the largest number stands; the first of equals.
export function argmax(x) {
  let best = 0;
  for (let i = 1; i < x.length; i++) {
    if (x[i] > x[best]) {
      best = i;
    }
  }
  return best;
}

// A state of length 1 in the same direction.
export function normalised(x) {
  const length = Math.hypot(...x);
  return x.map((value) => value / length);
}
