// What each token of a picture cost a model, place by place, and the sum so far.

const SQUARE = 20;

// The radius of a place's circle: its area grows with the cost, and 6 nats fill the square.
export function radius(nats, square) {
  return (square / 2) * Math.sqrt(Math.min(nats / 6, 1));
}

// The sum of the costs up to and with each place.
export function sums(nats) {
  let sum = 0;
  return nats.map((cost) => (sum += cost));
}

export function likely(nats) {
  const share = Math.exp(-nats);
  return (share >= 0.1 ? Math.round(share * 100) : (share * 100).toPrecision(2)) + ' %';
}

export function dearest(nats) {
  return nats.reduce((best, cost, place) => (cost > nats[best] ? place : best), 0);
}

export function show(root, data, kit) {
  const [height, width] = data.grid;
  const count = height * width;
  const last = data.models.length - 1;
  const costs = data.nats.map((model) => model.map((line) => line.map((cost) => cost / 100)));
  const state = { picture: 0, model: last, at: dearest(costs[last][0]), circles: true };
  const nats = () => costs[state.model][state.picture];
  const controls = kit.el('div', {}, root);
  addControls(kit, controls, data, (name, value) => {
    state[name] = value;
    draw();
  });
  kit.button(controls, 'Next dear token', nextDear);
  const stage = kit.el('div', { class: 'row' }, root);
  const board = makeBoard(kit, stage, data);
  const side = kit.el('div', { class: 'grow' }, stage);
  const said = kit.voice(side);
  const line = makeSums(kit, side);
  const hint =
    'Point at a place, tap it, or use the arrow keys. Veiled: not yet drawn when this token is predicted. ' +
    'The larger a circle, the dearer its token; a full square: 6 nats or more.';
  kit.el('p', { class: 'hint' }, side, hint);

  function draw() {
    const [row, column] = [Math.floor(state.at / width), state.at % width];
    const soFar = sums(nats());
    const all = soFar[count - 1];
    board.draw(data.pictures[state.picture], state.circles ? nats() : null, row, column);
    line(soFar, state.at);
    const cost = nats()[state.at];
    said.say(
      'Row ' +
        row +
        ', column ' +
        column +
        ': ' +
        cost.toFixed(2) +
        ' nats; the model gave this code a probability of ' +
        likely(cost) +
        '. So far ' +
        soFar[state.at].toFixed(0) +
        ' of the picture’s ' +
        all.toFixed(0) +
        ' nats.',
    );
  }

  function choose(place) {
    state.at = place;
    draw();
  }
  function nextDear() {
    choose(kit.following(state.at, count, (place) => nats()[place] >= 2));
  }
  kit.point(board.svg, (x, y) => {
    const column = Math.floor((x * (width * SQUARE + 2) - 1) / SQUARE);
    const row = Math.floor((y * (height * SQUARE + 2) - 1) / SQUARE);
    if (column >= 0 && column < width && row >= 0 && row < height) {
      choose(row * width + column);
    }
  });
  kit.keys(board.svg, (key) => {
    if (key === 'PageDown') {
      nextDear();
      return true;
    }
    const next = kit.step(key, state.at, width, count);
    if (next !== undefined) {
      choose(next);
    }
    return next;
  });
}

function addControls(kit, parent, data, change) {
  const picture = (value) => change('picture', value);
  kit.choice(parent, { label: 'picture', options: data.captions, change: picture });
  kit.choice(parent, {
    label: 'predicted by',
    options: data.models,
    value: data.models.length - 1,
    change: (value) => change('model', value),
  });
  const circles = (value) => change('circles', value);
  kit.tick(parent, { label: 'show the costs', value: true, change: circles });
}

function makeBoard(kit, stage, data) {
  const [height, width] = data.grid;
  const [wide, high] = [width * SQUARE, height * SQUARE];
  const svg = kit.el(
    'svg',
    {
      viewBox: '-1 -1 ' + (wide + 2) + ' ' + (high + 2),
      tabindex: 0,
      role: 'application',
      'aria-label':
        'The picture’s places. Arrow keys move; home and end: first and last place; page down: the next dear token.',
      style: 'flex:1 1 16em;max-width:24em;background:#fff;cursor:crosshair',
    },
    stage,
  );
  const size = { width: wide, height: high, class: 'pixels', preserveAspectRatio: 'none' };
  const picture = kit.el('image', size, svg);
  const look = { fill: '#000', 'fill-opacity': 0.75, stroke: '#fff', 'stroke-width': 0.6 };
  const dots = Array.from({ length: width * height }, (_, place) => {
    const [cx, cy] = [(place % width) + 0.5, Math.floor(place / width) + 0.5];
    return kit.el('circle', { cx: cx * SQUARE, cy: cy * SQUARE, ...look }, svg);
  });
  const veil = kit.el('path', { fill: '#fff', 'fill-opacity': 0.72 }, svg);
  const frame = { width: SQUARE, height: SQUARE, fill: 'none', 'stroke-width': 3 };
  const ring = kit.el('rect', { ...frame, stroke: kit.colours[1] }, svg);
  return {
    svg,
    draw(address, nats, row, column) {
      picture.setAttribute('href', address);
      dots.forEach((dot, place) => dot.setAttribute('r', nats ? radius(nats[place], SQUARE) : 0));
      ring.setAttribute('x', column * SQUARE);
      ring.setAttribute('y', row * SQUARE);
      const [x, y] = [(column + 1) * SQUARE, row * SQUARE];
      const rest = 'H' + wide + 'V' + high + 'H0V' + (y + SQUARE) + 'H' + x + 'Z';
      veil.setAttribute('d', 'M' + x + ' ' + y + rest);
    },
  };
}

// A small curve of the cost so far; its words are HTML, which no picture clips.
function makeSums(kit, parent) {
  const look = {
    viewBox: '0 0 200 60',
    role: 'img',
    'aria-label': 'the cost so far, place by place',
  };
  const svg = kit.el('svg', { ...look, style: 'width:100%;max-width:20em;display:block' }, parent);
  const curve = kit.el('path', { fill: 'none', stroke: 'var(--accent)', 'stroke-width': 1.5 }, svg);
  const tick = kit.el('line', { y1: 0, y2: 60, stroke: kit.colours[1], 'stroke-width': 1.5 }, svg);
  kit.el('small', {}, parent, 'the cost so far, from the first place to the last');
  return (soFar, at) => {
    const end = soFar.length - 1;
    const x = kit.scale({ low: 0, high: end }, 0, 200);
    const y = kit.scale({ low: 0, high: soFar[end] }, 58, 2);
    const points = soFar.map((sum, place) => x(place).toFixed(1) + ' ' + y(sum).toFixed(1));
    curve.setAttribute('d', 'M' + points.join('L'));
    tick.setAttribute('x1', x(at));
    tick.setAttribute('x2', x(at));
  };
}
