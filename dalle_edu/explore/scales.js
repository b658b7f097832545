// Which share of each block's gradients 16 bits lose, under one scale for all blocks or one for each.

// Shares that vanish and that overflow when numbers of these shares over powers of two (the first is 2^first) are
// multiplied by 2^scale; `small` and `large` are the exponents from which they do.
export function lostOf(shares, first, scale, [small, large]) {
  let [vanish, overflow] = [0, 0];
  shares.forEach((share, i) => {
    const exponent = first + i + scale;
    if (exponent < small) {
      vanish += share;
    } else if (exponent >= large) {
      overflow += share;
    }
  });
  return { vanish, overflow };
}

export function raised(exponent) {
  const digits = String(Math.abs(exponent)).replace(/\d/g, (digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[digit]);
  return '2' + (exponent < 0 ? '⁻' : '') + digits;
}

// The sentence below the figure.
export function summary(lost, words) {
  const most = (name) => lost.reduce((best, b, i) => (b[name] > lost[best][name] ? i : best), 0);
  const [small, large] = [most('vanish'), most('overflow')];
  const mean = lost.reduce((sum, b) => sum + b.vanish + b.overflow, 0) / lost.length;
  const part = (at, name, verb) => words(lost[at][name]) + ' of block ' + (at + 1) + ' ' + verb;
  return (
    'At most ' +
    part(small, 'vanish', 'vanish') +
    ', and ' +
    part(large, 'overflow', 'overflow') +
    '; over all blocks ' +
    words(mean) +
    ' are lost.'
  );
}

export function show(root, data, kit) {
  const blocks = data.shares.length;
  const state = { scale: data.scale, own: false };
  const controls = kit.el('div', {}, root);
  const last = [1, ...[1, 2, 3, 4].map((n) => Math.round((n * blocks) / 4))];
  const chart = kit.chart(root, {
    name: 'for each block, the share of its gradients that vanish and that overflow',
    width: 480,
    x: { low: 0.5, high: blocks + 0.5, ticks: [...new Set(last)], label: 'block' },
    y: { low: 0, high: 1, ticks: [0, 0.5, 1], label: '', format: (share) => 100 * share + ' %' },
  });
  chart.svg.style.maxWidth = '36em';
  const width = chart.x(2) - chart.x(1);
  const bars = data.shares.map((_, i) =>
    ['vanish', 'overflow'].map((name, kind) => {
      const look = { x: chart.x(i + 0.5), width: width * 0.86, fill: kit.colours[kind] };
      return kit.el('rect', { ...look, 'data-kind': name }, chart.svg);
    }),
  );
  const key = kit.el('div', { class: 'hint row', style: 'gap:.1em 1em' }, root);
  [
    ['vanish: smaller than 16 bits can say (from below)', 0],
    ['overflow: larger (from above)', 1],
  ].forEach(([words, kind]) => {
    const entry = kit.el('span', {}, key);
    kit.el('span', { style: 'color:' + kit.colours[kind], 'aria-hidden': 'true' }, entry, '■ ');
    kit.el('span', {}, entry, words);
  });
  const said = kit.voice(root);

  function draw() {
    const lost = data.shares.map((shares, i) =>
      lostOf(shares, data.first, state.own ? data.own[i] : state.scale, data.limits),
    );
    lost.forEach(({ vanish, overflow }, i) => {
      const [below, above] = bars[i];
      below.setAttribute('y', chart.y(vanish));
      below.setAttribute('height', chart.y(0) - chart.y(vanish));
      above.setAttribute('y', chart.y(1));
      above.setAttribute('height', chart.y(1 - overflow) - chart.y(1));
    });
    const range = [Math.min(...data.own), Math.max(...data.own)].map(raised);
    const how = state.own ? 'Scales from ' + range[0] + ' to ' + range[1] + '. ' : '';
    said.say(how + summary(lost, kit.percent));
  }
  const slider = kit.slider(controls, {
    label: 'all times',
    min: -16,
    max: 48,
    value: data.scale,
    format: raised,
    change: (value) => {
      state.scale = value;
      draw();
    },
  });
  kit.tick(controls, {
    label: 'a scale for each block',
    value: false,
    change: (own) => {
      state.own = own;
      slider.disabled = own;
      draw();
    },
  });
  kit.el(
    'p',
    { class: 'hint' },
    root,
    'Look for a scale under which no block loses anything; then tick the box.',
  );
}
