// Wilson's interval of a rate, and from how many captions on it leaves a rival's rate outside.

export function wilson(right, of) {
  const z = 1.96;
  const p = right / of;
  const middle = (p + (z * z) / (2 * of)) / (1 + (z * z) / of);
  const spread = Math.sqrt((p * (1 - p)) / of + (z * z) / (4 * of * of));
  const half = (z * spread) / (1 + (z * z) / of);
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}

// The least power of two of captions at which the same rate excludes the rival's; undefined beyond a million.
export function enough(rate, rival) {
  for (let of = 4; of <= 2 ** 20; of *= 2) {
    const [low, high] = wilson(rate * of, of);
    if (rival < low || rival > high) {
      return of;
    }
  }
  return undefined;
}

export function show(root, data, kit) {
  const state = { rate: data.right / data.of, of: data.of, rival: data.rival };
  const chart = kit.chart(root, {
    name: 'the rate with its interval, for this number of captions and for more',
    width: 480,
    height: 220,
    x: { low: 0, high: 1, ticks: [0, 0.25, 0.5, 0.75, 1], label: 'share right' },
    y: { low: -0.5, high: 3.6, ticks: [] },
  });
  chart.svg.style.maxWidth = '36em';
  const rows = [0, 1, 2, 3].map((row) => {
    const y = chart.y(3 - row);
    const look = { y1: y, y2: y, stroke: 'var(--accent)', 'stroke-width': row ? 2 : 5 };
    const line = kit.el('line', look, chart.svg);
    const dot = kit.el('circle', { cy: y, r: row ? 4 : 6, fill: 'var(--accent)' }, chart.svg);
    return { line, dot, label: kit.el('text', { y: y - 8 }, chart.svg) };
  });
  const rival = kit.el(
    'line',
    {
      y1: 12,
      y2: 180,
      stroke: '#D55E00',
      'stroke-width': 2,
      'stroke-dasharray': '5 4',
    },
    chart.svg,
  );
  const said = kit.voice(root);
  const controls = kit.el('div', {}, root);

  function draw() {
    const right = Math.round(state.rate * state.of);
    const rate = right / state.of;
    rows.forEach(({ line, dot, label }, row) => {
      const of = state.of * 4 ** row;
      const [low, high] = wilson(rate * of, of);
      line.setAttribute('x1', chart.x(low));
      line.setAttribute('x2', chart.x(high));
      dot.setAttribute('cx', chart.x(rate));
      label.setAttribute('x', Math.min(chart.x(low), 330));
      label.textContent = of.toLocaleString('en') + ' captions';
    });
    [1, 2].forEach((end) => rival.setAttribute('x' + end, chart.x(state.rival)));
    const [low, high] = wilson(right, state.of);
    const apart = state.rival < low || state.rival > high;
    const needed = enough(rate, state.rival);
    const more = needed
      ? 'about ' + needed.toLocaleString('en') + ' captions would do'
      : 'no number that one could judge would do';
    const verdict = apart
      ? 'clearly another rate'
      : 'that could be chance: at the same rate ' + more;
    said.say(
      right +
        ' of ' +
        state.of +
        ' right: ' +
        Math.round(100 * rate) +
        ' %, and with 95 % confidence between ' +
        Math.round(100 * low) +
        ' and ' +
        Math.round(100 * high) +
        ' %. Beside ' +
        Math.round(100 * state.rival) +
        ' % (dashed): ' +
        verdict +
        '.',
    );
  }
  const change = (name, meant) => (value) => {
    state[name] = meant(value);
    draw();
  };
  kit.slider(controls, {
    label: 'captions',
    min: 2,
    max: 10,
    step: 0.5,
    value: Math.log2(data.of),
    format: (value) => String(Math.round(2 ** value)),
    change: change('of', (value) => Math.round(2 ** value)),
  });
  const cent = { min: 0, max: 100, format: (value) => value + ' %' };
  const share = (value) => value / 100;
  const own = Math.round((100 * data.right) / data.of);
  kit.slider(controls, {
    label: 'share right',
    ...cent,
    value: own,
    change: change('rate', share),
  });
  const other = Math.round(100 * data.rival);
  kit.slider(controls, { label: 'beside', ...cent, value: other, change: change('rival', share) });
}
