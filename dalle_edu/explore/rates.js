// Bits, compression and attention of a grid of tokens.

export function costOf(size, text, grid, vocabulary) {
  const tokens = grid * grid;
  const bits = tokens * Math.log2(vocabulary);
  return {
    tokens,
    bits,
    // How many numbers become one token; the paper's "factor of 192".
    numbers: (3 * size * size) / tokens,
    factor: (24 * size * size) / bits,
    pairs: (text + tokens) ** 2,
    pixelPairs: (text + 3 * size * size) ** 2,
  };
}

// "1.6 million" for 1,638,400.
export function words(value) {
  const names = [
    [1e12, ' trillion'],
    [1e9, ' billion'],
    [1e6, ' million'],
  ];
  const found = names.find(([least]) => value >= least);
  return found
    ? (value / found[0]).toPrecision(3) + found[1]
    : Math.round(value).toLocaleString('en');
}

export function show(root, data, kit) {
  const state = { grid: data.grid, vocabulary: data.vocabulary };
  const controls = kit.el('div', {}, root);
  const row = kit.el('div', { class: 'row' }, root);
  const square = 240;
  const svg = kit.el(
    'svg',
    {
      viewBox: '0 0 ' + square + ' ' + square,
      width: square,
      role: 'img',
      'aria-label': 'the picture, cut into the squares of its tokens',
      style: 'background:var(--soft);max-width:100%',
    },
    row,
  );
  const lines = kit.el('path', { stroke: 'var(--ink)', 'stroke-width': 0.5, fill: 'none' }, svg);
  const side = kit.el('div', { class: 'grow' }, row);
  const bars = kit.bars(side, 3);
  const said = kit.voice(root);
  const raw = 24 * data.size * data.size;
  const length = kit.scale({ low: 8, high: raw, log: true }, 0, 1);

  function draw() {
    const cost = costOf(data.size, data.text, state.grid, state.vocabulary);
    const cell = square / state.grid;
    const steps = Array.from({ length: state.grid + 1 }, (_, i) => (i * cell).toFixed(2));
    lines.setAttribute(
      'd',
      steps.map((at) => 'M' + at + ' 0V' + square + 'M0 ' + at + 'H' + square).join(''),
    );
    lines.setAttribute('stroke-width', state.grid > 64 ? 0.25 : 0.5);
    bars.fill(0, { name: 'pixels', share: 1, note: words(raw) + ' bits' });
    bars.fill(1, { name: 'tokens', share: length(cost.bits), note: words(cost.bits) + ' bits' });
    bars.fill(2, {
      name: 'one token',
      share: length(Math.log2(state.vocabulary)),
      note: Math.log2(state.vocabulary) + ' bits',
    });
    said.say(
      state.grid +
        ' x ' +
        state.grid +
        ' = ' +
        cost.tokens.toLocaleString('en') +
        ' tokens of ' +
        Math.log2(state.vocabulary) +
        ' bits: ' +
        words(cost.bits) +
        ' bits, ' +
        cost.factor.toFixed(0) +
        ' times fewer than the pixels; each token stands for ' +
        cost.numbers.toFixed(0) +
        ' numbers. With ' +
        data.text +
        ' text tokens a dense layer compares ' +
        words(cost.pairs) +
        ' pairs; on the pixels’ numbers it would be ' +
        words(cost.pixelPairs) +
        '.',
    );
  }
  const power = (label, low, high, name) =>
    kit.slider(controls, {
      label,
      min: low,
      max: high,
      value: Math.log2(data[name]),
      format: (value) => (2 ** value).toLocaleString('en'),
      change: (value) => {
        state[name] = 2 ** value;
        draw();
      },
    });
  power('side of the grid', 0, Math.log2(data.size), 'grid');
  power('codes', 1, 16, 'vocabulary');
  kit.el(
    'p',
    { class: 'hint' },
    side,
    'Bars on a logarithmic scale. Too coarse a grid cannot hold the picture, too fine a one cannot be paid.',
  );
}
