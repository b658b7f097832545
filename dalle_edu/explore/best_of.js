// The winner among the first N drawings, for every N, and the best score so far.

const TILE = 38;
const BIG = 168;

// How many of the first `n` the judge found right.
export function rightAmong(right, n) {
  return right.slice(0, n).filter(Boolean).length;
}

// The corners of the stairs of the best score so far: [[n, score], ...].
export function stairs(scores, best) {
  return scores.flatMap((_, i) =>
    i === 0
      ? [[1, scores[best[0]]]]
      : [
          [i + 1, scores[best[i - 1]]],
          [i + 1, scores[best[i]]],
        ],
  );
}

export function show(root, data, kit) {
  const scores = data.scores.map((score) => score / 1000);
  const count = scores.length;
  const top = kit.el('div', { class: 'row' }, root);
  const frame = 'border:1px solid var(--line);box-sizing:content-box';
  const winner = kit.el('div', { class: 'pixels', role: 'img', style: frame }, top);
  const [low, high] = [Math.min(...scores), Math.max(...scores)];
  const room = (high - low || 0.01) * 0.08;
  const chart = kit.chart(kit.el('div', { class: 'grow' }, top), {
    name: 'each sample’s score, and the best of the first N',
    x: { low: 1, high: Math.max(2, count), ticks: [1, count], label: 'samples drawn, N' },
    y: {
      low: low - room,
      high: high + room,
      ticks: [low, high],
      label: 'similarity',
      format: (value) => value.toFixed(2),
    },
  });
  scores.forEach((score, i) => {
    kit.el(
      'circle',
      { cx: chart.x(i + 1), cy: chart.y(score), r: 1.8, fill: '#868e96' },
      chart.svg,
    );
  });
  const path = chart.path(stairs(scores, data.best));
  kit.el('path', { d: path, fill: 'none', stroke: 'var(--accent)', 'stroke-width': 2 }, chart.svg);
  const dot = kit.el(
    'circle',
    { r: 6, fill: '#D55E00', stroke: '#fff', 'stroke-width': 1.5 },
    chart.svg,
  );
  const controls = kit.el('div', {}, root);
  const said = kit.voice(root);
  const wall = { style: 'display:flex;flex-wrap:wrap;gap:4px;margin-top:.4em' };
  const tiles = makeTiles(kit, kit.el('div', wall, root), data);
  if (data.right) {
    const hint = '✓: right, by the judge, whom CLIP does not know. Grey dots: one sample each.';
    kit.el('p', { class: 'hint' }, root, hint);
  }

  function draw(n) {
    const best = data.best[n - 1];
    kit.sprite(winner, data.sheet, best, data.columns, data.rows, BIG);
    winner.setAttribute('aria-label', 'sample ' + (best + 1) + ', the best of ' + n);
    dot.setAttribute('cx', chart.x(n));
    dot.setAttribute('cy', chart.y(scores[best]));
    tiles.forEach((tile, i) => {
      tile.style.opacity = i < n ? 1 : 0.2;
      const edge = i < n ? '1px solid var(--line)' : 'none';
      tile.style.outline = i === best ? '3px solid #D55E00' : edge;
    });
    const score = 'sample ' + (best + 1) + ', similarity ' + scores[best].toFixed(2);
    const verdict = data.right ? (data.right[best] ? 'right' : 'wrong') : '';
    const judged = data.right
      ? ', and the judge says: ' +
        verdict +
        '. Right among these ' +
        n +
        ': ' +
        rightAmong(data.right, n)
      : '';
    said.say('Best of ' + n + ': ' + score + judged + '.');
  }

  kit.slider(controls, {
    label: 'N',
    min: 1,
    max: count,
    value: data.n,
    change: draw,
    format: (value) => value + ' of ' + count,
  });
}

function makeTiles(kit, wall, data) {
  const tickStyle =
    'position:absolute;right:0;bottom:0;font:bold 11px sans-serif;line-height:12px;' +
    'padding:0 1px;background:#fff;color:#000;border:1px solid #000';
  return data.scores.map((score, i) => {
    const tile = kit.el('div', { class: 'pixels', style: 'position:relative' }, wall);
    kit.sprite(tile, data.sheet, i, data.columns, data.rows, TILE);
    const verdict = data.right ? (data.right[i] ? ', right' : ', wrong') : '';
    tile.title = 'sample ' + (i + 1) + ', similarity ' + (score / 1000).toFixed(2) + verdict;
    if (data.right && data.right[i]) {
      kit.el('span', { style: tickStyle }, tile, '✓');
    }
    return tile;
  });
}
