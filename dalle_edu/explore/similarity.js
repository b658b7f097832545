// Cosines of pictures (rows) and captions (columns), and what the softmax of a row gives each caption.

const UNIT = 24;
const GAP = UNIT + 6;

export function nearest(line) {
  return line.reduce((best, value, column) => (value > line[best] ? column : best), 0);
}

// Place of a column among its row, 1 for the highest, and its share of the softmax at a scale; cosines in thousandths.
export function standing(line, column, scale) {
  const place = 1 + line.filter((value) => value > line[column]).length;
  const sum = line.reduce(
    (all, value) => all + Math.exp((scale * (value - line[column])) / 1000),
    0,
  );
  return { place, share: 1 / sum };
}

// From white to dark blue, monotone in lightness.
export function shade(value, low) {
  const dark = Math.max(0, Math.min(1, (value - low) / (1000 - low)));
  return (
    'rgb(' + [255 - 247 * dark, 255 - 207 * dark, 255 - 148 * dark].map(Math.round).join(',') + ')'
  );
}

export function show(root, data, kit) {
  const cosines = data.cosines;
  const [rows, columns] = [cosines.length, cosines[0].length];
  let [row, column] = data.start;
  let scale = data.scale;
  const wide = kit.el('div', { class: 'row' }, root);
  const nearestOf = cosines.map(nearest);
  const side = GAP + columns * UNIT + 4;
  const svg = kit.el(
    'svg',
    {
      viewBox: '-1 -1 ' + side + ' ' + (rows * UNIT + 4),
      width: Math.min(side, 400),
      tabindex: 0,
      role: 'application',
      'aria-label':
        'Cosines: a row is a picture, a column a caption. Arrow keys move; home and end: the nearest and the own caption.',
      style: 'max-width:100%;cursor:crosshair',
    },
    wide,
  );
  drawMatrix(kit, svg, data, nearestOf);
  const marks = [
    ['#fff', 6],
    ['#D55E00', 3],
  ].map(([stroke, width]) =>
    kit.el('rect', { width: UNIT, height: UNIT, fill: 'none', stroke, 'stroke-width': width }, svg),
  );
  const panel = kit.el('div', { class: 'grow says', 'aria-live': 'polite' }, wide);
  const look = { width: 160, height: 160, class: 'pixels', style: 'border:1px solid var(--line)' };
  const photo = kit.el('img', { alt: 'the picture of this row', ...look }, panel);
  const own = kit.el('p', { style: 'margin:.3em 0' }, panel);
  const text = kit.el('p', { style: 'margin:.3em 0;font-weight:600' }, panel);
  const number = kit.el('p', { style: 'margin:.3em 0' }, panel);
  const controls = kit.el('div', {}, root);
  // Temperature 1 / scale: from 1 to 1/400, so that the slider's middle is not all at one end.
  kit.slider(controls, {
    label: 'scale (1 / temperature)',
    min: 0,
    max: 60,
    value: Math.round(10 * Math.log(data.scale)),
    format: (value) => scaleAt(value, data.scale).toFixed(value < 23 ? 1 : 0),
    change: (value) => {
      scale = scaleAt(value, data.scale);
      draw();
    },
  });
  const cross = data.own ? '; cross: the nearest caption, if it is another’s.' : '.';
  const legend =
    'Frame: the picture’s own caption. Dot: the nearest caption, if that is its own' + cross;
  kit.el('p', { class: 'hint' }, root, legend + ' Point at a cell, tap it, or use the arrow keys.');

  function draw() {
    for (const mark of marks) {
      mark.setAttribute('x', GAP + column * UNIT);
      mark.setAttribute('y', row * UNIT + 1);
    }
    photo.src = data.pictures[row];
    own.textContent = data.own ? 'Its own caption: “' + data.captions[data.own[row]] + '”' : '';
    const mine = data.own && data.own[row] === column ? ' (its own)' : '';
    text.textContent = 'This cell: “' + data.captions[column] + '”' + mine;
    const { place, share } = standing(cosines[row], column, scale);
    const cent = 100 * share;
    const shown = cent < 0.1 ? 'less than 0.1' : cent.toFixed(cent < 10 ? 1 : 0);
    const cosine = (cosines[row][column] / 1000).toFixed(2);
    const stands =
      'Cosine ' + cosine + ', place ' + place + ' of ' + columns + ' for this picture; ';
    const given = 'the softmax at scale ' + scale.toFixed(0) + ' gives it ' + shown + ' %.';
    number.textContent = stands + given;
    svg.setAttribute('data-cell', row + ',' + column);
  }

  kit.point(svg, (x, y) => {
    const c = Math.floor((x * side - 1 - GAP) / UNIT);
    const r = Math.floor((y * (rows * UNIT + 4) - 2) / UNIT);
    if (r < 0 || r >= rows || c >= columns) {
      return;
    }
    // On the picture itself: its own caption.
    const home = data.own ? data.own[r] : nearestOf[r];
    [row, column] = [r, c < 0 ? home : c];
    draw();
  });
  kit.keys(svg, (key) => {
    const ways = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    if (key in ways) {
      row = kit.clamp(row + ways[key][0], 0, rows - 1);
      column = kit.clamp(column + ways[key][1], 0, columns - 1);
    } else if (key === 'Home') {
      column = nearestOf[row];
    } else if (key === 'End' && data.own) {
      column = data.own[row];
    } else {
      return undefined;
    }
    draw();
    return true;
  });
  draw();
}

// The slider's steps are tenths of ln(scale); the step nearest to the model's own scale is that scale itself.
export function scaleAt(stepped, own) {
  return stepped === Math.round(10 * Math.log(own)) ? own : Math.exp(stepped / 10);
}

function drawMatrix(kit, svg, data, nearestOf) {
  const low = Math.min(0, ...data.cosines.flat());
  const cell = { width: UNIT, height: UNIT };
  data.cosines.forEach((line, r) => {
    const y = r * UNIT + 1;
    kit.el('image', { href: data.pictures[r], x: 1, y, ...cell, class: 'pixels' }, svg);
    line.forEach((value, c) => {
      const look = { fill: shade(value, low), stroke: '#868e96', 'stroke-width': 0.4 };
      kit.el('rect', { x: GAP + c * UNIT, y, ...cell, ...look }, svg);
    });
  });
  data.cosines.forEach((_, r) => {
    if (data.own) {
      const place = {
        x: GAP + data.own[r] * UNIT + 1,
        y: r * UNIT + 2,
        width: UNIT - 2,
        height: UNIT - 2,
      };
      kit.el('rect', { ...place, fill: 'none', stroke: '#000', 'stroke-width': 1.5 }, svg);
    }
    const [x, y] = [GAP + nearestOf[r] * UNIT + UNIT / 2, r * UNIT + 1 + UNIT / 2];
    if (!data.own || nearestOf[r] === data.own[r]) {
      kit.el('circle', { cx: x, cy: y, r: UNIT / 6, fill: '#E69F00', stroke: '#fff' }, svg);
      return;
    }
    const d = 'M' + (x - 5) + ' ' + (y - 5) + 'l10 10m0 -10l-10 10';
    kit.el('path', { d, stroke: '#fff', 'stroke-width': 5, fill: 'none' }, svg);
    kit.el('path', { d, stroke: '#D55E00', 'stroke-width': 3, fill: 'none' }, svg);
  });
}
