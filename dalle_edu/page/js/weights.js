// The file of weights: safetensors, which is the length of a JSON header (8 bytes), the header, and the numbers.
// Numbers of 16 bits (F16) come as 32; so do those of 8 (I8), each row times its number in NAME.scale.

// A number of 16 bits: sign, 5 bits of exponent, 10 of fraction.
function half(bits) {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 0) {
    return sign * fraction * 2 ** -24;
  }
  return exponent === 31 ? NaN : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

let halves = null;

function fromHalves(numbers) {
  halves ||= Float32Array.from({ length: 65536 }, (_, bits) => half(bits));
  return Float32Array.from(numbers, (bits) => halves[bits]);
}

function scaled(numbers, scales) {
  const columns = numbers.length / scales.length;
  return Float32Array.from(numbers, (number, i) => number * scales[Math.floor(i / columns)]);
}

// An ArrayBuffer -> {config, tensors}: what Python said about the model, and {name: {values, shape}}.
export function readWeights(buffer) {
  const size = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, size)));
  const { __metadata__: said, ...entries } = header;
  const kinds = { F32: Float32Array, F16: Uint16Array, I8: Int8Array, U8: Uint8Array };
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets: offsets }] of Object.entries(entries)) {
    const bytes = buffer.slice(8 + size + offsets[0], 8 + size + offsets[1]);
    const numbers = new kinds[dtype](bytes);
    tensors[name] = { shape, values: dtype === 'F16' ? fromHalves(numbers) : numbers };
  }
  for (const [name, { values: scales }] of Object.entries(tensors)) {
    const one = name.endsWith('.scale') && tensors[name.slice(0, -'.scale'.length)];
    if (one && one.values instanceof Int8Array) {
      one.values = scaled(one.values, scales);
      delete tensors[name];
    }
  }
  return { config: JSON.parse(said.model), tensors };
}

// The tensor `name` as what `linear` takes; a convolution's kernel (rows, channels, k, k) is a matrix as well.
export function layer(tensors, name, biasName = name + '.bias') {
  const { values, shape } = tensors[name + '.weight'] || tensors[name];
  const bias = tensors[biasName] ? tensors[biasName].values : null;
  const rows = shape[0];
  return { weight: values, bias, rows, columns: values.length / rows, shape };
}

// The rows become columns: for matrices that multiply from the other side.
export function transposed({ values, shape: [rows, columns] }) {
  const weight = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      weight[column * rows + row] = values[row * columns + column];
    }
  }
  return { weight, bias: null, rows: columns, columns: rows };
}

// Row `index` of a table of embeddings.
export function rowOf({ values, shape }, index) {
  return values.subarray(index * shape[1], (index + 1) * shape[1]);
}
