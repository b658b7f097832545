// A Gaussian beside the prior: its draws under one and the same noise, and its divergence in nats.

export function divergence(mean, logVariance) {
  return (mean ** 2 + Math.exp(logVariance) - 1 - logVariance) / 2;
}

export function drawOf(mean, logVariance, noise) {
  return mean + Math.exp(logVariance / 2) * noise;
}

export function density(z, mean, deviation) {
  return Math.exp(-(((z - mean) / deviation) ** 2) / 2) / (deviation * Math.sqrt(2 * Math.PI));
}

export function show(root, data, kit) {
  const code = { mean: data.mean, logVariance: data.log_variance };
  const chart = kit.chart(root, {
    name: 'the density of the code, beside the prior’s',
    width: 480,
    height: 230,
    x: { low: -4, high: 4, ticks: [-4, -2, 0, 2, 4], label: 'z' },
    y: { low: 0, high: 1.7, ticks: [0, 0.4, 0.8, 1.2, 1.6], label: 'density' },
  });
  chart.svg.style.maxWidth = '36em';
  const curveOf = (mean, deviation) =>
    chart.path(
      Array.from({ length: 161 }, (_, i) => {
        const z = -4 + i / 20;
        return [z, Math.min(1.7, density(z, mean, deviation))];
      }),
    );
  const prior = { d: curveOf(0, 1), fill: 'none', stroke: '#D55E00', 'stroke-width': 2 };
  kit.el('path', { ...prior, 'stroke-dasharray': '6 4' }, chart.svg);
  const curve = kit.el(
    'path',
    { fill: 'none', stroke: 'var(--accent)', 'stroke-width': 2.5 },
    chart.svg,
  );
  const ticks = data.noise.map(() => {
    const line = {
      y1: chart.y(0.09),
      y2: chart.y(0),
      stroke: 'var(--accent)',
      'stroke-width': 1.3,
    };
    return kit.el('line', line, chart.svg);
  });
  kit.el(
    'p',
    { class: 'hint' },
    root,
    'Solid: q(z | x), its draws as ticks below. Dashed: the prior, N(0, 1).',
  );
  const said = kit.voice(root);
  const controls = kit.el('div', {}, root);

  function draw() {
    const { mean, logVariance } = code;
    const deviation = Math.exp(logVariance / 2);
    curve.setAttribute('d', curveOf(mean, deviation));
    ticks.forEach((tick, i) => {
      const x = chart.x(kit.clamp(drawOf(mean, logVariance, data.noise[i]), -4, 4));
      tick.setAttribute('x1', x);
      tick.setAttribute('x2', x);
    });
    const kl = divergence(mean, logVariance);
    const [noise] = data.noise;
    const first = drawOf(mean, logVariance, noise);
    said.say(
      'KL = ' +
        kl.toFixed(2) +
        ' nats, ' +
        (kl / Math.LN2).toFixed(2) +
        ' bits. Standard deviation ' +
        deviation.toFixed(2) +
        '. The first draw: ' +
        mean.toFixed(2) +
        ' + ' +
        deviation.toFixed(2) +
        ' × (' +
        noise.toFixed(2) +
        ') = ' +
        first.toFixed(2) +
        '; dz/dmean = 1, dz/dlog variance = ' +
        ((deviation * noise) / 2).toFixed(2) +
        '.',
    );
  }
  const change = (name) => (value) => {
    code[name] = value;
    draw();
  };
  const shown = { step: 0.1, format: (value) => value.toFixed(1) };
  const mean = { label: 'mean', min: -3, max: 3, value: data.mean, change: change('mean') };
  kit.slider(controls, { ...mean, ...shown });
  const wide = { label: 'log variance', min: -4, max: 2, value: data.log_variance };
  kit.slider(controls, { ...wide, ...shown, change: change('logVariance') });
  kit.button(controls, 'Make it free', () => {
    [0, 1].forEach((i) => controls.querySelectorAll('input')[i].go(0));
  });
}
