// Relaxed draws of three categories as points of a triangle, at a temperature to slide.

const [WIDTH, HEIGHT, SIDE, LEFT, TOP] = [330, 300, 290, 20, 22];
const CORNERS = [
  [LEFT + SIDE / 2, TOP],
  [LEFT, TOP + SIDE * 0.866],
  [LEFT + SIDE, TOP + SIDE * 0.866],
];
const SHAPES = ['M-3,0a3,3 0 1,0 6,0a3,3 0 1,0 -6,0', 'M0,-4L4,3L-4,3Z', 'M-3,-3H3V3H-3Z'];

// y = softmax((logits + noise) / temperature), written out for three categories.
export function relaxed(logits, noise, temperature) {
  const cooled = logits.map((logit, k) => (logit + noise[k]) / temperature);
  const most = Math.max(...cooled);
  const weights = cooled.map((value) => Math.exp(value - most));
  const sum = weights[0] + weights[1] + weights[2];
  return weights.map((weight) => weight / sum);
}

export function largest(shares) {
  return shares.reduce((best, share, k) => (share > shares[best] ? k : best), 0);
}

// The point of the triangle whose distances to the sides are the shares.
export function pointOf(shares) {
  return [0, 1].map((axis) => shares.reduce((sum, share, k) => sum + share * CORNERS[k][axis], 0));
}

export function show(root, data, kit) {
  const dials = { temperature: 1, lift: 0, noisy: true };
  const none = [0, 0, 0];
  const controls = kit.el('div', {}, root);
  const row = kit.el('div', { class: 'row' }, root);
  const { dots, ring } = makeTriangle(kit, row, data);
  const side = kit.el('div', { style: 'min-width:12em;flex:1' }, row);
  const mix = data.pictures && makeMix(kit, side, data.pictures);
  const said = kit.voice(side);
  const bars = kit.bars(side, 3);

  function draw() {
    const logits = [data.logits[0] + dials.lift, data.logits[1], data.logits[2]];
    const draws = data.noise.map((noise) =>
      relaxed(logits, dials.noisy ? noise : none, dials.temperature),
    );
    const wins = [0, 0, 0];
    draws.forEach((shares, i) => {
      const [x, y] = pointOf(shares);
      const best = largest(shares);
      wins[best] += 1;
      dots[i].setAttribute('d', SHAPES[best]);
      dots[i].setAttribute('fill', kit.colours[best]);
      dots[i].setAttribute('transform', 'translate(' + x.toFixed(1) + ',' + y.toFixed(1) + ')');
    });
    const [x, y] = pointOf(draws[0]);
    ring.setAttribute('cx', x);
    ring.setAttribute('cy', y);
    if (mix) {
      mix(draws[0]);
    }
    said.say('ringed draw: ' + draws[0].map((share) => share.toFixed(2)).join(', '));
    relaxed(logits, none, 1).forEach((probability, k) => {
      const share = wins[k] / draws.length;
      const note = 'p = ' + probability.toFixed(2) + ', wins ' + (100 * share).toFixed(0) + ' %';
      bars.fill(k, { name: data.labels[k], share, note });
    });
  }

  kit.el('p', { class: 'hint' }, side, 'p: the probability; wins: how often it is the largest');
  addDials(kit, controls, data, (name, value) => {
    dials[name] = value;
    draw();
  });
}

function addDials(kit, controls, data, change) {
  kit.slider(controls, {
    label: 'temperature',
    min: -5,
    max: 4,
    step: 0.25,
    value: 0,
    format: (value) => (2 ** value).toFixed(2),
    change: (value) => change('temperature', 2 ** value),
  });
  kit.slider(controls, {
    label: 'added to the logit of ' + data.labels[0],
    min: -3,
    max: 3,
    step: 0.25,
    value: 0,
    format: (value) => value.toFixed(2),
    change: (value) => change('lift', value),
  });
  kit.choice(controls, {
    label: 'noise',
    options: ['Gumbel noise', 'none: the formula in circulation'],
    change: (value) => change('noisy', value === 0),
  });
}

function makeTriangle(kit, parent, data) {
  const name = 'A triangle with a category at each corner, and a point for each relaxed draw';
  const view = { viewBox: '0 0 ' + WIDTH + ' ' + HEIGHT, width: WIDTH, style: 'max-width:100%' };
  const svg = kit.el('svg', { ...view, role: 'img', 'aria-label': name }, parent);
  const outline = CORNERS.map((corner) => corner.join(',')).join(' ');
  kit.el('polygon', { points: outline, fill: 'none', stroke: 'var(--line)' }, svg);
  data.labels.forEach((label, k) => {
    const x = Math.min(Math.max(CORNERS[k][0], 40), WIDTH - 40);
    kit.el('text', { x, y: CORNERS[k][1] + (k ? 16 : -7), 'text-anchor': 'middle' }, svg, label);
  });
  const dots = data.noise.map(() => kit.el('path', { 'fill-opacity': 0.6 }, svg));
  const ring = kit.el(
    'circle',
    { r: 7, fill: 'none', stroke: 'var(--ink)', 'stroke-width': 2 },
    svg,
  );
  return { dots, ring };
}

// Layers of pictures whose opacities make their weighted mean.
function makeMix(kit, parent, pictures) {
  const name = 'the three pictures, mixed by the ringed draw';
  const view = { viewBox: '0 0 120 120', width: 120, height: 120, role: 'img', 'aria-label': name };
  const svg = kit.el('svg', view, parent);
  const layers = pictures.map((address) =>
    kit.el('image', { href: address, width: 120, height: 120, class: 'pixels' }, svg),
  );
  return (shares) => {
    let sum = 0;
    shares.forEach((share, k) => {
      sum += share;
      layers[k].setAttribute('opacity', sum > 0 ? share / sum : 0);
    });
  };
}
