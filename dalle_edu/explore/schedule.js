// A learning rate that rises in a straight line and falls along a cosine.

export function rateAt(step, { steps, warmup, peak, end }) {
  if (step < warmup) {
    return (peak * (step + 1)) / warmup;
  }
  const after = steps - warmup;
  const progress = after > 0 ? Math.min((step - warmup) / after, 1) : 1;
  return end + (peak - end) * 0.5 * (1 + Math.cos(Math.PI * progress));
}

// "8.6 · 10⁻⁴" for 0.00086.
export function power(value) {
  const [digits, exponent] = value.toExponential(1).split('e');
  const raised = exponent.replace('+', '').replace('-', '⁻');
  const small = raised.replace(/\d/g, (digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[digit]);
  return value === 0 ? '0' : digits + ' · 10' + small;
}

// Which share of the sum of all learning rates is behind after the step.
export function travelled(step, schedule) {
  let [behind, all] = [0, 0];
  const stride = Math.max(1, Math.floor(schedule.steps / 2000));
  for (let at = 0; at < schedule.steps; at += stride) {
    all += rateAt(at, schedule);
    behind += at <= step ? rateAt(at, schedule) : 0;
  }
  return behind / all;
}

export function show(root, data, kit) {
  const schedule = { steps: data.steps, warmup: data.warmup, peak: data.peak, end: data.end };
  let at = data.at;
  const most = data.peak * 2;
  const chart = kit.chart(root, {
    name: 'the learning rate, step by step',
    width: 480,
    x: {
      low: 0,
      high: data.steps,
      ticks: [0, 0.25, 0.5, 0.75, 1].map((share) => Math.round(share * data.steps)),
      label: 'step',
      format: (value) => value.toLocaleString('en'),
    },
    y: {
      low: 0,
      high: most,
      ticks: [0, data.peak / 2, data.peak, 1.5 * data.peak, most],
      label: 'rate / peak it opens with',
      format: (value) => String(Number((value / data.peak).toFixed(1))),
    },
  });
  chart.svg.style.maxWidth = '36em';
  const curve = kit.el(
    'path',
    { fill: 'none', stroke: 'var(--accent)', 'stroke-width': 2.5 },
    chart.svg,
  );
  const dot = kit.el(
    'circle',
    { r: 6, fill: '#D55E00', stroke: '#fff', 'stroke-width': 1.5 },
    chart.svg,
  );
  const said = kit.voice(root);
  const controls = kit.el('div', {}, root);

  function draw() {
    const points = Array.from({ length: 241 }, (_, i) => {
      const step = (i / 240) * (data.steps - 1);
      return [step, rateAt(step, schedule)];
    });
    curve.setAttribute('d', chart.path(points));
    const rate = rateAt(at, schedule);
    dot.setAttribute('cx', chart.x(at));
    dot.setAttribute('cy', chart.y(rate));
    const where = at < schedule.warmup ? 'warming up' : 'falling';
    said.say(
      'Step ' +
        at.toLocaleString('en') +
        ', ' +
        where +
        ': learning rate ' +
        power(rate) +
        '. ' +
        kit.percent(travelled(at, schedule)) +
        ' of the whole way is behind, after ' +
        kit.percent((at + 1) / data.steps) +
        ' of the steps.',
    );
  }
  const turn = (name) => (value) => {
    schedule[name] = value;
    draw();
  };
  kit.slider(controls, {
    label: 'step',
    min: 0,
    max: data.steps - 1,
    value: data.at,
    format: (value) => value.toLocaleString('en'),
    change: (value) => {
      at = value;
      draw();
    },
  });
  const half = Math.floor(data.steps / 2);
  kit.slider(controls, {
    label: 'warm-up',
    min: 0,
    max: half,
    value: data.warmup,
    change: turn('warmup'),
  });
  const fine = { min: 0, max: most, step: most / 40, format: power };
  kit.slider(controls, { label: 'peak', ...fine, value: data.peak, change: turn('peak') });
  kit.slider(controls, { label: 'end', ...fine, value: data.end, change: turn('end') });
}
