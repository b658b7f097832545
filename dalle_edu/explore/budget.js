// What each of N devices holds, computes and sends when a transformer is sharded over them, as
// dalle_edu/machine/budget.py counts it. A test holds both against each other.

const NAMES = ['weights', 'gradients', 'moments', 'gathered', 'kept'];
const WORDS = ['weights', 'gradients', 'Adam’s moments', 'blocks gathered', 'kept for backward'];

// The mask of each layer in the paper's order (dalle_edu/masks.py, layer_kinds): how many of each kind.
export function kindCounts(depth) {
  const column = Math.floor((depth + 1) / 4);
  return { conv: 1, column, row: depth - 1 - column };
}

// How far back a picture token may look under a mask, in tokens.
export function lags(kind, grid, kernel) {
  const places = grid * grid;
  const found = new Set();
  if (kind === 'row') {
    for (let lag = 0; lag <= grid; lag++) {
      found.add(lag);
    }
  } else if (kind === 'column') {
    for (let row = 0; row < grid; row++) {
      found.add(row * grid);
    }
  } else {
    const half = Math.min(Math.floor(kernel / 2), places);
    for (let up = 0; up <= Math.min(half, grid); up++) {
      for (let aside = -half; aside <= half; aside++) {
        found.add(up * grid + aside);
      }
    }
  }
  return [...found].filter((lag) => lag >= 0 && lag < places);
}

// Entries of a mask that are allowed: text to text, picture to text, picture to picture.
export function entries(kind, text, grid, kernel) {
  const places = grid * grid;
  const near = lags(kind, grid, kernel).reduce((sum, lag) => sum + places - lag, 0);
  return (text * (text + 1)) / 2 + places * text + near;
}

// {parameters, blocks, flops}: of the whole transformer, of its blocks, and forward for one picture.
export function sizes(shape) {
  const { depth, width, grid, text, words, codes, kernel } = shape;
  const places = grid * grid;
  const length = text + places;
  const attention = depth * (4 * width * width + 4 * width + 2 * width);
  const networks = depth * (8 * width * width + 5 * width + 2 * width);
  const embeddings = (words + 2 * text + codes + 2 * grid) * width;
  const heads = (words + codes) * width;
  const counts = kindCounts(depth);
  const pairs = Object.keys(counts).reduce(
    (sum, kind) => sum + counts[kind] * entries(kind, text, grid, kernel),
    0,
  );
  const flops =
    2 * (attention + networks) * length +
    4 * width * pairs +
    2 * width * (words * (text - 1) + codes * places);
  const blocks = attention + networks;
  return { parameters: blocks + embeddings + heads + 2 * width, blocks, flops, length };
}

export function budgetOf(shape, devices, batch, speed, network) {
  const { parameters, blocks, flops, length } = sizes(shape);
  const pictures = batch / devices;
  return {
    parameters,
    pictures,
    weights: (4 * parameters) / devices,
    gradients: (4 * parameters) / devices,
    moments: (8 * parameters) / devices,
    gathered: devices > 1 ? (4 * blocks) / shape.depth : 0,
    kept: 2 * shape.depth * length * shape.width * pictures,
    computing: (4 * flops * pictures) / speed,
    sending: (6 * parameters * (devices - 1)) / devices / network,
  };
}

// "12.3 billion" for 12,292,808,448.
export function large(value) {
  const [least, word] = [
    [1e9, ' billion'],
    [1e6, ' million'],
    [1, ''],
  ].find(([limit]) => value >= limit);
  return (value / least).toPrecision(3) + word;
}

export function amount(bytes) {
  return bytes >= 1e12
    ? (bytes / 1e12).toPrecision(3) + ' TB'
    : (bytes / 1e9).toPrecision(3) + ' GB';
}

export function seconds(value) {
  return value >= 1 ? value.toPrecision(3) + ' s' : (1000 * value).toPrecision(3) + ' ms';
}

// The sentence below the figure.
export function verdict(b, memory) {
  const all = NAMES.reduce((sum, name) => sum + b[name], 0);
  const fits = all <= memory ? ' fits into ' : ' does not fit into ';
  const most = NAMES.reduce((best, name) => (b[name] > b[best] ? name : best));
  const waits =
    b.sending > b.computing
      ? 'communication binds: sending takes ' +
        (b.sending / b.computing).toFixed(1) +
        ' times as long'
      : 'computation binds: sending takes ' + (b.sending / b.computing).toFixed(2) + ' of its time';
  const names = Object.fromEntries(NAMES.map((name, i) => [name, WORDS[i]]));
  return (
    large(b.parameters) +
    ' parameters, ' +
    amount(all) +
    ' on each device, which' +
    fits +
    amount(memory) +
    '; the most of it: ' +
    names[most] +
    '. In a step, ' +
    waits +
    '.'
  );
}

export function show(root, data, kit) {
  const state = { ...data.shape, devices: Math.log2(data.devices), card: 0 };
  const controls = kit.el('div', {}, root);
  const line = kit.el('div', { style: 'margin:.4em 0' }, root);
  const stack = kit.el(
    'svg',
    {
      viewBox: '0 0 460 44',
      role: 'img',
      'aria-label': 'what one device holds, as one bar',
      class: 'chart',
    },
    line,
  );
  stack.style.maxWidth = '36em';
  const pieces = NAMES.map((_, i) =>
    kit.el('rect', { y: 2, height: 22, fill: kit.colours[i], stroke: 'var(--paper)' }, stack),
  );
  const limit = kit.el(
    'line',
    { y1: 0, y2: 28, stroke: 'var(--ink)', 'stroke-width': 2, 'stroke-dasharray': '3 2' },
    stack,
  );
  const limitText = kit.el('text', { y: 41, 'text-anchor': 'middle' }, stack);
  const row = kit.el('div', { class: 'row' }, root);
  const side = kit.el('div', { class: 'grow' }, row);
  const bars = kit.bars(side, NAMES.length + 1);
  const holder = kit.el('div', { class: 'grow' }, row);
  const said = kit.voice(root);

  function draw() {
    const [, memory, speed, network] = data.cards[state.card];
    const devices = 2 ** state.devices;
    const b = budgetOf(state, devices, data.batch, speed, network);
    const all = NAMES.reduce((sum, name) => sum + b[name], 0);
    const wide = kit.scale({ low: 0, high: Math.max(all, memory) * 1.04 }, 0, 460);
    let left = 0;
    NAMES.forEach((name, i) => {
      pieces[i].setAttribute('x', wide(left));
      pieces[i].setAttribute('width', Math.max(0, wide(left + b[name]) - wide(left)));
      left += b[name];
      bars.fill(i, {
        name: WORDS[i],
        share: b[name] / all,
        note: amount(b[name]),
        paint: (swatch) => {
          swatch.style.cssText = 'width:.8em;height:.8em;background:' + kit.colours[i];
        },
      });
      bars.lines[i].bar.style.background = kit.colours[i];
      bars.lines[i].name.style.minWidth = '9em';
    });
    bars.fill(NAMES.length, { name: 'all', share: 1, note: amount(all) });
    bars.lines[NAMES.length].name.style.minWidth = '10.6em';
    limit.setAttribute('x1', wide(memory));
    limit.setAttribute('x2', wide(memory));
    limitText.setAttribute('x', kit.clamp(wide(memory), 24, 430));
    limitText.textContent = amount(memory);
    race(kit, holder, state, data.batch, [speed, network]);
    said.say(verdict(b, memory));
  }

  const dial = (label, name, min, max, step, format) =>
    kit.slider(controls, {
      label,
      min,
      max,
      step,
      value: state[name],
      format,
      change: (value) => {
        state[name] = value;
        draw();
      },
    });
  dial('layers', 'depth', 1, 96, 1);
  dial('width', 'width', 64, 8192, 64, (value) => value.toLocaleString('en'));
  dial('grid', 'grid', 4, 96, 4, (value) => value + ' x ' + value);
  dial('devices', 'devices', 0, 11, 1, (value) => (2 ** value).toLocaleString('en'));
  kit.choice(controls, {
    label: 'each a',
    options: data.cards.map(([name]) => name),
    value: 0,
    change: (value) => {
      state.card = value;
      draw();
    },
  });
  const batch = data.batch.toLocaleString('en');
  kit.el(
    'p',
    { class: 'hint' },
    root,
    'A batch of ' +
      batch +
      ' pictures, shared by all. Try: half the devices, then the other card. Counts, not measurements.',
  );
}

// Seconds a step computes and sends, for every number of devices.
function race(kit, holder, state, batch, [speed, network]) {
  const devices = 2 ** state.devices;
  holder.textContent = '';
  const counts = Array.from({ length: 12 }, (_, i) => 2 ** i);
  const all = counts.map((n) => budgetOf(state, n, batch, speed, network));
  const times = all.flatMap((b) => [b.computing, b.sending]).filter((time) => time > 0);
  const [low, high] = [Math.min(...times) / 1.5, Math.max(...times) * 1.5];
  const powers = Array.from({ length: 14 }, (_, i) => 10 ** (i - 6));
  const inside = powers.filter((time) => time > low && time < high);
  const every = Math.ceil(inside.length / 5);
  const chart = kit.chart(holder, {
    name: 'seconds a step computes and sends, against the number of devices',
    x: { low: 1, high: 2048, log: true, ticks: [1, 4, 16, 64, 256, 1024], label: 'devices' },
    y: {
      low,
      high,
      log: true,
      ticks: inside.filter((_, i) => i % every === 0),
      label: '',
      format: (time) => time + ' s',
    },
  });
  const drawn = [
    ['computing', kit.colours[0], ''],
    ['sending', kit.colours[1], '6 4'],
  ];
  for (const [name, stroke, dash] of drawn) {
    const points = counts.map((n, i) => [n, all[i][name]]).filter(([, time]) => time > 0);
    const look = { fill: 'none', stroke, 'stroke-width': 2, 'stroke-dasharray': dash };
    kit.el('path', { d: chart.path(points), ...look }, chart.svg);
    const [x, y] = points[name === 'sending' ? 3 : 1];
    kit.el('text', { x: chart.x(x) + 6, y: chart.y(y) - 6 }, chart.svg, name);
  }
  const at = { x1: chart.x(devices), x2: chart.x(devices), y1: 12, y2: 170 };
  kit.el('line', { ...at, stroke: 'var(--ink)', 'stroke-dasharray': '3 3' }, chart.svg);
}
