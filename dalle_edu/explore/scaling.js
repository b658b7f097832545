// Loss against arithmetic for models of several sizes, and what each draws after as much of it.

const DASHES = ['', '7 4', '8 3 2 3', '2 3'];
const SIGNS = ['●', '■', '▲', '◆'];

// The size with the lowest loss at a point of the training.
export function bestAt(loss, point) {
  return loss.reduce((best, curve, size) => (curve[point] < loss[best][point] ? size : best), 0);
}

// The last point at which another size was best than before: where curves cross. The last point if none do.
export function crossing(loss) {
  const last = loss[0].length - 1;
  for (let point = last; point > 1; point--) {
    if (bestAt(loss, point) !== bestAt(loss, point - 1)) {
      return point;
    }
  }
  return last;
}

// "3.2 · 10¹²" for 3.2e12.
export function scientific(value) {
  const power = Math.floor(Math.log10(value));
  const raised = String(power).replace(/\d/g, (digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[digit]);
  return (value / 10 ** power).toFixed(1) + ' · 10' + raised;
}

export function show(root, data, kit) {
  const points = data.flops[0].length;
  const spent = data.flops[0];
  const chart = makeChart(kit, root, data);
  const cursor = kit.el(
    'line',
    {
      y1: 12,
      y2: 170,
      stroke: kit.colours[1],
      'stroke-width': 1.5,
      'stroke-dasharray': '3 3',
    },
    chart.svg,
  );
  const said = kit.voice(root);
  const controls = kit.el('div', {}, root);
  const columns = 'minmax(5.5em,9em) repeat(' + data.prompts.length + ',minmax(0,84px))';
  const grid = 'display:grid;gap:5px;align-items:center;grid-template-columns:' + columns;
  const table = kit.el('div', { style: grid }, root);
  kit.el('span', {}, table);
  data.prompts.forEach((prompt) => kit.el('small', {}, table, prompt));
  const lines = data.names.map((name, size) => ({
    words: kit.el('small', {}, table, name),
    images: data.prompts.map((prompt) => {
      const look = { class: 'pixels', style: 'width:100%;border:1px solid var(--line)' };
      return kit.el('img', { ...look, alt: data.names[size] + ': ' + prompt }, table);
    }),
  }));

  function draw(point) {
    cursor.setAttribute('visibility', point ? 'visible' : 'hidden');
    if (point) {
      cursor.setAttribute('x1', chart.x(spent[point]));
      cursor.setAttribute('x2', chart.x(spent[point]));
    }
    lines.forEach(({ words, images }, size) => {
      const loss = data.loss[size][point].toFixed(2) + ' nats';
      words.textContent =
        SIGNS[size] + ' ' + data.names[size] + ', ' + data.steps[size][point] + ' steps: ' + loss;
      images.forEach((image, prompt) => {
        image.src = data.pictures[size][point][prompt];
      });
    });
    const best = data.names[bestAt(data.loss, point)];
    said.say(
      point
        ? 'After about ' + scientific(spent[point]) + ' FLOPs, ' + best + ' predicts best.'
        : 'Before training: every code is about as probable as any other.',
    );
  }

  kit.slider(controls, {
    label: 'arithmetic spent',
    min: 0,
    max: points - 1,
    value: crossing(data.loss),
    format: (value) => (value ? scientific(spent[value]) + ' FLOPs' : 'none'),
    change: draw,
  });
}

function makeChart(kit, root, data) {
  // The start, which cost nothing, has no place on a logarithmic axis.
  const flops = data.flops.flatMap((curve) => curve.slice(1));
  const losses = data.loss.flatMap((curve) => curve.slice(1));
  const [low, high] = [Math.min(...losses) * 0.9, Math.max(...losses) * 1.1];
  const powers = [];
  for (let power = 9; power < 24; power++) {
    powers.push(10 ** power, 3 * 10 ** power);
  }
  const [first, last] = [Math.min(...flops), Math.max(...flops)];
  const inside = powers.filter((value) => value >= first && value <= last);
  const chart = kit.chart(root, {
    name: 'Loss against arithmetic, both logarithmic',
    width: 460,
    x: {
      low: first * 0.9,
      high: last * 1.1,
      log: true,
      ticks:
        inside.length > 6 ? inside.filter((value) => Number.isInteger(Math.log10(value))) : inside,
      label: 'FLOPs spent in training',
      format: (value) => scientific(value).replace('.0', ''),
    },
    y: {
      low,
      high,
      log: true,
      ticks: [0.1, 0.25, 0.5, 1, 2, 4, 8].filter((tick) => tick > low && tick < high),
      label: 'nats a token',
    },
  });
  chart.svg.style.maxWidth = '36em';
  const key = kit.el('div', { class: 'hint row', style: 'gap:.1em 1em' }, root);
  data.names.forEach((name, size) => {
    const colour = kit.colours[size];
    const curve = data.flops[size].slice(1).map((value, i) => [value, data.loss[size][i + 1]]);
    const line = {
      fill: 'none',
      stroke: colour,
      'stroke-width': 2,
      'stroke-dasharray': DASHES[size],
    };
    kit.el('path', { d: chart.path(curve), ...line }, chart.svg);
    const style = 'fill:' + colour + ';font-size:10px';
    for (const [x, y] of curve) {
      const place = { x: chart.x(x), y: chart.y(y) + 3.5, 'text-anchor': 'middle', style };
      kit.el('text', { ...place, 'aria-hidden': 'true' }, chart.svg, SIGNS[size]);
    }
    const entry = kit.el('span', {}, key);
    kit.el('span', { style: 'color:' + colour, 'aria-hidden': 'true' }, entry, SIGNS[size] + ' ');
    kit.el('span', {}, entry, name);
  });
  return chart;
}
