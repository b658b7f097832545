// Which scores a form of attention computes, needed or not: as a matrix, and against the size of the picture.

const DASHES = { dense: '', row: '8 3', column: '2 3', conv: '10 3 2 3' };

// 0: left out, 1: computed in vain, 2: needed. `blocks` are what the blocked form computes.
export function stateOf(form, needed, blocks, between) {
  if (needed) {
    return 2;
  }
  if (form === 'dense') {
    return 1;
  }
  // Gathered, only the words' own square is still computed whole.
  return (form === 'blocked' ? blocks : between) ? 1 : 0;
}

// "12k" for 12,000.
export function short(value) {
  if (value < 1000) {
    return String(value);
  }
  return value < 1e6 ? value / 1000 + 'k' : value / 1e6 + 'M';
}

// Moves labels down where they would stand on each other: [[name, y], ...] -> the same, sorted by y.
export function apart(labels, gap) {
  const sorted = labels.toSorted((a, b) => a[1] - b[1]);
  let free = -Infinity;
  return sorted.map(([name, y]) => {
    free = Math.max(y, free + gap);
    return [name, free];
  });
}

export function show(root, data, kit) {
  const state = { kind: 0, form: 2, size: Math.min(2, data.sides.length - 1) };
  const controls = kit.el('div', {}, root);
  addControls(kit, controls, data, state, draw);
  const stage = kit.el('div', { class: 'row' }, root);
  const left = kit.el('div', { class: 'grow' }, stage);
  const right = kit.el('div', { class: 'grow' }, stage);
  const matrix = makeMatrix(kit, left, data);
  const legend =
    'rows: queries, columns: keys. Dark: needed. Light: computed in vain. White: left out.';
  kit.el('small', {}, left, legend);
  const chart = makeChart(kit, right, data);
  const said = kit.voice(root);
  const number = (value) => value.toLocaleString('en');

  function sentence() {
    const kind = data.kinds[state.kind];
    const side = data.sides[state.size];
    const [form, words] = data.forms[state.form];
    const at = data.curve.indexOf(side);
    const [scores, keys] = kind.work[form][at];
    const share = Math.round((100 * kind.needed[at]) / scores);
    const start =
      'A picture of ' +
      side +
      ' x ' +
      side +
      ' after ' +
      data.text +
      ' words: the ' +
      kind.name +
      ' mask needs ' +
      number(kind.needed[at]) +
      ' scores; ' +
      words +
      ', ' +
      number(scores) +
      ' are computed, ' +
      share +
      ' % of them needed. ';
    if (form === 'dense') {
      return start + 'Every query meets every key, whatever the mask says.';
    }
    if (form === 'gather') {
      return start + 'No score is wasted, but ' + number(keys) + ' keys are copied, one by one.';
    }
    const [blocks, queries, shared] = kind.tiles[state.size].map(number);
    const tiles =
      blocks + ' blocks of ' + queries + ' queries share ' + shared + ' picture keys each; ';
    return start + tiles + number(keys) + ' keys are lined up.';
  }

  function draw() {
    matrix(state);
    chart(state);
    said.say(sentence());
  }
}

function addControls(kit, parent, data, state, draw) {
  const change = (name) => (value) => {
    state[name] = value;
    draw();
  };
  const kinds = data.kinds.map((kind) => kind.name);
  kit.choice(parent, { label: 'mask', options: kinds, change: change('kind') });
  kit.choice(parent, {
    label: 'computed',
    options: data.forms.map(([, words]) => words),
    value: state.form,
    change: change('form'),
  });
  kit.slider(parent, {
    label: 'picture',
    min: 0,
    max: data.sides.length - 1,
    value: state.size,
    format: (value) => data.sides[value] + ' x ' + data.sides[value] + ' tokens',
    change: change('size'),
  });
}

function makeMatrix(kit, parent, data) {
  const look = { class: 'board pixels tiles', role: 'img', 'aria-label': 'the scores as a matrix' };
  const canvas = kit.el('canvas', { ...look, style: 'cursor:auto' }, parent);
  canvas.dataset.part = 'matrix';
  const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const colours = [[255, 255, 255], rgb(data.colours[1]), rgb(data.colours[0])];
  const cache = new Map();
  function decoded(state, which, length) {
    const name = [state.kind, state.size, which].join();
    if (!cache.has(name)) {
      const code = data.kinds[state.kind].matrices[state.size][which];
      cache.set(name, kit.decodeMask(code, length));
    }
    return cache.get(name);
  }
  return (state) => {
    const length = data.text + data.sides[state.size] ** 2;
    const form = data.forms[state.form][0];
    const blocks = decoded(state, 'computed', length);
    canvas.width = length;
    canvas.height = length;
    const context = canvas.getContext('2d');
    const image = context.createImageData(length, length);
    decoded(state, 'needed', length).forEach((needed, at) => {
      const between = Math.floor(at / length) < data.text && at % length < data.text;
      const colour = colours[stateOf(form, needed, blocks[at], between)];
      image.data.set([...colour, 255], 4 * at);
    });
    context.putImageData(image, 0, 0);
  };
}

function makeChart(kit, parent, data) {
  const [first, last] = [data.curve[0], data.curve.at(-1)];
  const dense = data.kinds[0].work.dense.map(([scores]) => scores);
  const low = Math.min(...data.kinds.map((kind) => kind.needed[0]));
  const power = (value) => Math.log10(value);
  const powers = [];
  for (let p = Math.floor(power(low)); p <= Math.ceil(power(Math.max(...dense))); p++) {
    powers.push(10 ** p);
  }
  const sides = data.curve.filter((s) => [8, 16, 32, 64].includes(s) || s === first || s === last);
  const chart = kit.chart(parent, {
    name: 'scores against the tokens of the picture, both logarithmic',
    height: 300,
    // Room at the right for the names of the curves.
    x: {
      low: first,
      high: last * (last / first) ** 0.22,
      log: true,
      ticks: sides,
      label: 'tokens of the picture',
      format: (side) => (side * side).toLocaleString('en'),
    },
    y: {
      low: powers[0],
      high: powers.at(-1),
      log: true,
      ticks: powers,
      format: short,
      label: 'scores a head computes',
    },
  });
  chart.svg.dataset.part = 'curves';
  const curves = [['dense', dense]];
  data.kinds.forEach((kind) =>
    curves.push([kind.name, kind.work.blocked.map(([scores]) => scores)]),
  );
  const drawn = curves.map(([name, values]) => {
    const d = chart.path(values.map((value, i) => [data.curve[i], value]));
    const path = kit.el('path', { d, fill: 'none', 'stroke-dasharray': DASHES[name] }, chart.svg);
    return { name, path };
  });
  const ends = apart(
    curves.map(([name, values]) => [name, chart.y(values.at(-1))]),
    13,
  );
  const labels = ends.map(([name, y]) =>
    kit.el('text', { x: chart.x(last) + 6, y: y + 4 }, chart.svg, name),
  );
  const ring = { r: 6, fill: 'none', stroke: '#D55E00', 'stroke-width': 3, class: 'mark' };
  const mark = kit.el('circle', ring, chart.svg);
  return (state) => {
    const kind = data.kinds[state.kind];
    const side = data.sides[state.size];
    drawn.forEach(({ name, path }) => {
      const mine = name === kind.name;
      path.setAttribute('stroke', mine ? 'var(--accent)' : 'currentColor');
      path.setAttribute('stroke-width', mine ? 3 : 1.3);
    });
    labels.forEach((label, i) => {
      label.style.fontWeight = ends[i][0] === kind.name ? '700' : '400';
    });
    const [scores] = kind.work[data.forms[state.form][0]][data.curve.indexOf(side)];
    mark.setAttribute('cx', chart.x(side));
    mark.setAttribute('cy', chart.y(scores));
  };
}
