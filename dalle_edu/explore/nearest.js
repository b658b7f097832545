// The plane divided by which codebook entry is nearest, and one code that falls to its own.

const SIZE = 320;

export function distance(point, entry) {
  return Math.hypot(point[0] - entry[0], point[1] - entry[1]);
}

// The nearest entry; of equals the first.
export function nearestEntry(point, codebook) {
  return codebook.reduce(
    (best, entry, k) => (distance(point, entry) < distance(point, codebook[best]) ? k : best),
    0,
  );
}

// How many of the codes fall to each entry.
export function usage(codes, codebook) {
  const counts = codebook.map(() => 0);
  for (const code of codes) {
    counts[nearestEntry(code, codebook)] += 1;
  }
  return counts;
}

export function show(root, data, kit) {
  const { low, high, codebook } = data;
  const counts = usage(data.codes, codebook);
  const across = kit.scale({ low: low[0], high: high[0] }, 0, SIZE);
  const up = kit.scale({ low: low[1], high: high[1] }, SIZE, 0);
  let z = data.start.map((share, axis) => low[axis] + share * (high[axis] - low[axis]));
  const row = kit.el('div', { class: 'row' }, root);
  const plane = makePlane(kit, row, data, { across, up, counts });
  const side = kit.el('div', { class: 'grow' }, row);
  const said = kit.voice(side);
  const hint =
    'Move the ring: point, tap, or use the arrow keys. Each tint is the land of one entry; stars are entries, ' +
    'hollow ones are dead: no dot falls to them.';
  kit.el('p', { class: 'hint' }, side, hint);

  function draw() {
    const k = nearestEntry(z, codebook);
    const [x, y] = [across(z[0]), up(z[1])];
    plane.ring.setAttribute('cx', x);
    plane.ring.setAttribute('cy', y);
    const ends = { x1: x, y1: y, x2: across(codebook[k][0]), y2: up(codebook[k][1]) };
    Object.entries(ends).forEach(([name, value]) => plane.arrow.setAttribute(name, value));
    const pair = (point) => '(' + point.map((v) => v.toFixed(2)).join(', ') + ')';
    const used = data.codes.length
      ? ' ' + counts[k] + ' of ' + data.codes.length + ' dots fall to it.'
      : '';
    said.say(
      'z = ' +
        pair(z) +
        ' becomes entry ' +
        k +
        ', ' +
        pair(codebook[k]) +
        ': a distance of ' +
        distance(z, codebook[k]).toFixed(2) +
        ', squared ' +
        (distance(z, codebook[k]) ** 2).toFixed(2) +
        '.' +
        used +
        ' The gradient that arrives at the entry is handed to z unchanged.',
    );
  }
  kit.point(plane.svg, (x, y) => {
    z = [low[0] + x * (high[0] - low[0]), high[1] - y * (high[1] - low[1])];
    draw();
  });
  kit.keys(plane.svg, (key) => {
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    if (!(key in ways)) {
      return undefined;
    }
    z = z.map((v, axis) => {
      const step = (ways[key][axis] * (high[axis] - low[axis])) / 40;
      return kit.clamp(v + step, low[axis], high[axis]);
    });
    draw();
    return true;
  });
  draw();
}

function makePlane(kit, row, data, { across, up, counts }) {
  const svg = kit.el(
    'svg',
    {
      viewBox: '0 0 ' + SIZE + ' ' + SIZE,
      width: SIZE,
      tabindex: 0,
      role: 'application',
      'aria-label': 'Plane of codes. Arrow keys move z.',
      style: 'max-width:100%;background:#fff;cursor:crosshair;border:1px solid #868e96',
    },
    row,
  );
  const tiles = 40;
  const side = SIZE / tiles;
  for (let r = 0; r < tiles; r++) {
    for (let c = 0; c < tiles; c++) {
      const middle = [(c + 0.5) / tiles, 1 - (r + 0.5) / tiles].map(
        (share, axis) => data.low[axis] + share * (data.high[axis] - data.low[axis]),
      );
      const k = nearestEntry(middle, data.codebook);
      const fill = 'hsl(' + ((k * 137) % 360) + ' 60% ' + (86 + 4 * (k % 3)) + '%)';
      kit.el(
        'rect',
        { x: c * side, y: r * side, width: side + 0.5, height: side + 0.5, fill },
        svg,
      );
    }
  }
  for (const [x, y] of data.codes) {
    kit.el('circle', { cx: across(x), cy: up(y), r: 2, fill: '#495057', 'fill-opacity': 0.6 }, svg);
  }
  data.codebook.forEach(([x, y], k) => {
    const dead = data.codes.length > 0 && counts[k] === 0;
    const place = { x: across(x), y: up(y) + 6, 'text-anchor': 'middle' };
    kit.el('text', { ...place, style: 'fill:#000;font-size:18px' }, svg, dead ? '☆' : '★');
    const label = { x: across(x) + 9, y: up(y) - 5, style: 'fill:#000;font-size:12px' };
    kit.el('text', label, svg, String(k));
  });
  const arrow = kit.el('line', { stroke: '#D55E00', 'stroke-width': 2.5 }, svg);
  const ring = kit.el('circle', { r: 7, fill: '#fff', stroke: '#D55E00', 'stroke-width': 3 }, svg);
  return { svg, arrow, ring };
}
