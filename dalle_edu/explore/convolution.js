// A convolution and a transposed convolution, window by window.

// Numbers along one side of the output.
export function outputSide(input, kernel, { stride, padding, transposed }) {
  return transposed
    ? (input - 1) * stride - 2 * padding + kernel
    : Math.floor((input + 2 * padding - kernel) / stride) + 1;
}

// What a place of the output is made of: [input row, input column, kernel row, kernel column] of every product.
export function terms(row, column, height, width, kernel, { stride, padding, transposed }) {
  const found = [];
  for (let a = 0; a < kernel; a++) {
    for (let b = 0; b < kernel; b++) {
      const [y, x] = transposed
        ? [(row + padding - a) / stride, (column + padding - b) / stride]
        : [row * stride + a - padding, column * stride + b - padding];
      const whole = Number.isInteger(y) && Number.isInteger(x);
      if (whole && y >= 0 && y < height && x >= 0 && x < width) {
        found.push([y, x, a, b]);
      }
    }
  }
  return found;
}

export function convolve(image, kernel, how) {
  const [height, width] = [image.length, image[0].length];
  const rows = outputSide(height, kernel.length, how);
  const columns = outputSide(width, kernel.length, how);
  return Array.from({ length: rows }, (_, row) =>
    Array.from({ length: columns }, (_unused, column) =>
      terms(row, column, height, width, kernel.length, how).reduce(
        (sum, [y, x, a, b]) => sum + image[y][x] * kernel[a][b],
        0,
      ),
    ),
  );
}

// The place of the largest sum, where there is most to see.
export function strongest(grid) {
  const sums = grid.flat().map(Math.abs);
  return sums.indexOf(Math.max(...sums));
}

export function short(value) {
  return String(Number(value.toFixed(1))).replace('-', '−');
}

export function show(root, data, kit) {
  const how = { stride: data.stride, padding: data.padding, transposed: false };
  let at = 0;
  let output = [];
  const controls = kit.el('div', {}, root);
  const row = kit.el('div', { class: 'row' }, root);
  const left = panel(kit, row, 'input');
  const middle = panel(kit, row, 'kernel');
  const right = panel(kit, row, 'output: choose a place', true);
  const said = kit.voice(root);
  const hint =
    'Orange: the chosen output and all that it is made of. What a window reads outside the input counts as 0.';
  kit.el('p', { class: 'hint' }, root, hint);

  function draw() {
    const columns = output[0].length;
    const [y, x] = [Math.floor(at / columns), at % columns];
    const parts = terms(y, x, data.image.length, data.image[0].length, data.kernel.length, how);
    left.draw(
      data.image,
      parts.map(([r, c]) => r + ',' + c),
    );
    middle.draw(
      data.kernel,
      parts.map(([, , a, b]) => a + ',' + b),
    );
    right.draw(output, [y + ',' + x]);
    const products = parts
      .filter(([r, c, a, b]) => data.image[r][c] * data.kernel[a][b] !== 0)
      .map(([r, c, a, b]) => short(data.image[r][c]) + ' × ' + short(data.kernel[a][b]));
    const sum = (products.join(' + ') || '0') + ' = ' + short(output[y][x]);
    const sizes = [data.image, output]
      .map((grid) => grid.length + ' x ' + grid[0].length)
      .join(' to ');
    said.say('From ' + sizes + '. Row ' + (y + 1) + ', column ' + (x + 1) + ': ' + sum + '.');
  }

  function again() {
    output = convolve(data.image, data.kernel, how);
    at = strongest(output);
    draw();
  }

  kit.choice(controls, {
    label: 'kind',
    options: ['convolution', 'transposed convolution'],
    change: (value) => {
      how.transposed = value === 1;
      again();
    },
  });
  kit.slider(controls, {
    label: 'stride',
    min: 1,
    max: 3,
    value: data.stride,
    change: (value) => {
      how.stride = value;
      again();
    },
  });
  right.listen(
    (place) => {
      at = place;
      draw();
    },
    () => [at, output[0].length, output.length],
  );
}

const CELL = 30;

// A grid of numbers on their greys, some of them framed.
function panel(kit, parent, name, touch) {
  const box = kit.el('div', { style: 'max-width:100%' }, parent);
  kit.el('div', {}, box, name);
  const role = touch ? { tabindex: 0, role: 'application' } : { role: 'img' };
  const svg = kit.el('svg', { ...role, 'aria-label': name, style: 'max-width:100%' }, box);
  function draw(grid, framed) {
    const [high, wide] = [grid.length * CELL, grid[0].length * CELL];
    svg.setAttribute('viewBox', '-2 -2 ' + (wide + 4) + ' ' + (high + 4));
    svg.setAttribute('width', Math.min(wide, 270));
    svg.textContent = '';
    const values = grid.flat();
    const [low, most] = [Math.min(...values), Math.max(...values)];
    const marked = new Set(framed);
    grid.forEach((line, r) =>
      line.forEach((value, c) => {
        const light = (value - low) / (most - low || 1);
        const grey = Math.round(40 + 205 * light);
        const place = { x: c * CELL, y: r * CELL, width: CELL, height: CELL };
        const fill = 'rgb(' + [grey, grey, grey] + ')';
        kit.el('rect', { ...place, fill, stroke: '#868e96', 'stroke-width': 0.5 }, svg);
        const ink = 'fill:' + (light > 0.45 ? '#000' : '#fff') + ';font-size:11px';
        const middle = { x: (c + 0.5) * CELL, y: (r + 0.5) * CELL + 4, 'text-anchor': 'middle' };
        kit.el('text', { ...middle, style: ink }, svg, short(value));
      }),
    );
    for (const key of marked) {
      const [r, c] = key.split(',').map(Number);
      const place = { x: c * CELL + 1, y: r * CELL + 1, width: CELL - 2, height: CELL - 2 };
      kit.el(
        'rect',
        { ...place, fill: 'none', stroke: '#E69F00', 'stroke-width': 3, class: 'mark' },
        svg,
      );
    }
  }
  function listen(choose, now) {
    kit.point(svg, (x, y) => {
      const [, columns, rows] = now();
      const column = kit.clamp(Math.floor((x * (columns * CELL + 4) - 2) / CELL), 0, columns - 1);
      const line = kit.clamp(Math.floor((y * (rows * CELL + 4) - 2) / CELL), 0, rows - 1);
      choose(line * columns + column);
    });
    kit.keys(svg, (key) => {
      const [at, columns, rows] = now();
      const next = kit.step(key, at, columns, columns * rows);
      if (next !== undefined) {
        choose(next);
      }
      return next;
    });
  }
  return { draw, listen };
}
