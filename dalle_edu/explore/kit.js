// What every explorer needs: elements, dials, keys, fingers, and the step from a still picture to a live figure.
// Each explorer is a file like this one, `NAME.js`, whose `show(root, data, kit)` fills the element `root`; its
// calculations stand beside it as functions of their own, which Node can import and test. Python puts this file and
// that one into the page, without their comments: so a comment has a line of its own.

const SVG = /^(svg|g|rect|circle|line|path|text|polyline|polygon|image|title)$/;

// A new HTML or SVG element inside `parent`.
export function element(tag, attributes, parent, text) {
  const made = SVG.test(tag)
    ? document.createElementNS('http://www.w3.org/2000/svg', tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    made.setAttribute(name, value);
  }
  if (text !== undefined && text !== null) {
    made.textContent = text;
  }
  if (parent) {
    parent.appendChild(made);
  }
  return made;
}

export function clamp(value, low, high) {
  return Math.max(low, Math.min(high, value));
}

// A share in [0, 1] as per cent, with a digit more where it is small.
export function percent(share) {
  const value = 100 * share;
  return (value >= 10 || value === 0 ? value.toFixed(0) : value.toFixed(1)) + ' %';
}

export function softmax(logits) {
  const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const weights = logits.map((logit) => Math.exp(logit - most));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

export function bytes(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

export function bit(packed, index) {
  return (packed[index >> 3] >> (7 - (index & 7))) & 1;
}

export function rgb(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

// Lines on a canvas, each [x1, y1, x2, y2] in units of `size` from the corner (x, y).
export function strokes(context, lines, x, y, size) {
  context.beginPath();
  for (const [x1, y1, x2, y2] of lines) {
    context.moveTo(x + x1 * size, y + y1 * size);
    context.lineTo(x + x2 * size, y + y2 * size);
  }
  context.stroke();
}

// The inverse of Python's `encode_mask`: a byte an entry, row after row.
export function decodeMask(code, length) {
  const entries = new Uint8Array(length * length);
  if (code.bits !== undefined) {
    const packed = bytes(code.bits);
    return entries.map((_, index) => bit(packed, index));
  }
  let at = 0;
  code.runs.forEach((run, number) => {
    entries.fill(number % 2, at, at + run);
    at += run;
  });
  // What was stored is the change against the row above, moved by one.
  for (let row = 1; row < length; row++) {
    for (let column = 1; column < length; column++) {
      entries[row * length + column] ^= entries[(row - 1) * length + column - 1];
    }
  }
  return entries;
}

// Where an arrow key leads from `at` in a grid of `columns`, or undefined for another key. Home and End: the ends.
export function step(key, at, columns, count) {
  const moves = {
    ArrowLeft: -1,
    ArrowRight: 1,
    ArrowUp: -columns,
    ArrowDown: columns,
    Home: -count,
    End: count,
  };
  return key in moves ? clamp(at + moves[key], 0, count - 1) : undefined;
}

// The first place after `at`, going round, for which `wanted` holds; `at` itself where there is none.
export function following(at, count, wanted) {
  for (let ahead = 1; ahead < count; ahead++) {
    if (wanted((at + ahead) % count)) {
      return (at + ahead) % count;
    }
  }
  return at;
}

// Whether the reader asked their system for less movement.
function calm() {
  return matchMedia('(prefers-reduced-motion: reduce)').matches;
}

// o: {label, min, max, step, value, format, change}; arrow keys move it.
function slider(kit, parent, o) {
  const label = element('label', {}, parent);
  element('span', {}, label, o.label);
  const limits = { type: 'range', min: o.min, max: o.max, step: o.step || 1 };
  const input = element('input', limits, label);
  const shown = element('output', {}, label);
  input.value = o.value;
  const change = () => {
    const value = Number(input.value);
    shown.textContent = o.format ? o.format(value) : String(value);
    input.setAttribute('aria-valuetext', shown.textContent);
    o.change(value);
  };
  input.addEventListener('input', change);
  input.go = (value) => {
    input.value = value;
    change();
  };
  kit.later.push(change);
  return input;
}

// o: {label, options, value, change}; value and what change gets are the index of an option.
function choice(kit, parent, o) {
  const label = element('label', {}, parent);
  element('span', {}, label, o.label);
  const select = element('select', {}, label);
  o.options.forEach((text, index) => element('option', { value: index }, select, text));
  select.value = o.value || 0;
  const change = () => o.change(Number(select.value));
  select.addEventListener('change', change);
  select.go = (value) => {
    select.value = value;
    change();
  };
  kit.later.push(change);
  return select;
}

// o: {label, value, change}: a box to tick.
function tick(kit, parent, o) {
  const label = element('label', {}, parent);
  const box = element('input', { type: 'checkbox' }, label);
  element('span', {}, label, o.label);
  box.checked = Boolean(o.value);
  const change = () => o.change(box.checked);
  box.addEventListener('change', change);
  kit.later.push(change);
  return box;
}

function button(parent, label, press) {
  const made = element('button', { type: 'button' }, parent, label);
  made.addEventListener('click', press);
  return made;
}

// A sentence that screen readers hear when it changes; while `hush` is on (a film plays) they hear nothing.
function voice(parent) {
  const said = element('p', { 'aria-live': 'polite', class: 'says' }, parent);
  said.say = (text) => {
    said.textContent = text;
  };
  said.hush = (quiet) => said.setAttribute('aria-live', quiet ? 'off' : 'polite');
  return said;
}

// Calls `choose(x, y)`, shares of the width and height of `target`, where a mouse hovers or a finger taps. A finger that
// moves up or down scrolls the page, as everywhere.
function point(target, choose) {
  target.style.touchAction = 'pan-y';
  const tell = (event) => {
    const box = target.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width;
    const y = (event.clientY - box.top) / box.height;
    if (x >= 0 && x < 1 && y >= 0 && y < 1) {
      choose(x, y);
    }
  };
  target.addEventListener('pointermove', (event) => {
    if (event.pointerType === 'mouse') {
      tell(event);
    }
  });
  target.addEventListener('click', tell);
}

// Calls `go(key, event)` for a key that no modifier changes; what it answers with other than undefined was meant for us.
function keys(target, go) {
  target.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    if (go(event.key, event) !== undefined) {
      event.preventDefault();
      event.stopPropagation();
    }
  });
}

// A button that moves `range` on by itself, a step every `pause` milliseconds; slowly for those who want less movement.
function film(kit, parent, range, said, pause) {
  let timer = null;
  const play = button(parent, 'Play', () => (timer ? stop() : start()));
  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = 'Play';
    said.hush(false);
  }
  function start() {
    if (Number(range.value) >= Number(range.max)) {
      range.go(range.min);
    }
    play.textContent = 'Pause';
    said.hush(true);
    timer = setInterval(
      () => (Number(range.value) >= Number(range.max) ? stop() : range.go(Number(range.value) + 1)),
      calm() ? Math.max(600, pause) : pause,
    );
  }
  return play;
}

// Shows picture `index` of a sheet of `columns` times `rows` equal ones in `target`, `size` pixels wide and high.
function sprite(target, sheet, index, columns, rows, size) {
  Object.assign(target.style, {
    width: size + 'px',
    height: size + 'px',
    backgroundImage: 'url(' + sheet + ')',
    backgroundSize: columns * size + 'px ' + rows * size + 'px',
    backgroundPosition:
      -(index % columns) * size + 'px ' + -Math.floor(index / columns) * size + 'px',
  });
}

// Lines of a name, a bar and a number; `fill(i, {name, share, note, paint})` sets one. `paint(swatch)` may draw a small
// picture before the name.
function bars(parent, count) {
  const list = element('div', { class: 'bars' }, parent);
  const lines = Array.from({ length: count }, () => {
    const line = element('div', { class: 'line' }, list);
    const swatch = element('span', { class: 'swatch pixels' }, line);
    const name = element('span', { class: 'name' }, line);
    const track = element('span', { class: 'track' }, line);
    const bar = element('span', { class: 'bar' }, track);
    return { line, swatch, name, bar, note: element('span', { class: 'note' }, line) };
  });
  const fill = (index, { name, share, note, paint }) => {
    const line = lines[index];
    line.line.hidden = false;
    line.name.textContent = name;
    line.bar.style.width = 100 * clamp(share, 0, 1) + '%';
    line.note.textContent = note;
    line.swatch.hidden = !paint;
    if (paint) {
      paint(line.swatch);
    }
  };
  return { list, lines, fill, hide: (index) => (lines[index].line.hidden = true) };
}

// A scale for a chart: numbers from `low` to `high` onto pixels from `start` to `end`.
export function scale({ low, high, log }, start, end) {
  const bend = log ? Math.log : (value) => value;
  return (value) =>
    start + ((bend(value) - bend(low)) / (bend(high) - bend(low) || 1)) * (end - start);
}

// Axes with ticks. o: {name, width, height, x, y}; an axis is {low, high, log, ticks, label, format}.
function chart(parent, o) {
  const [width, height] = [o.width || 340, o.height || 210];
  const view = { viewBox: '0 0 ' + width + ' ' + height, role: 'img', 'aria-label': o.name };
  const svg = element('svg', { ...view, class: 'chart' }, parent);
  const x = scale(o.x, 46, width - 14);
  const y = scale(o.y, height - 40, 12);
  const rule = (x1, x2, y1, y2, thin) =>
    element('line', { x1, x2, y1, y2, stroke: 'var(--line)', 'stroke-width': thin ? 0.4 : 1 }, svg);
  rule(46, width - 14, height - 40, height - 40);
  rule(46, 46, 12, height - 40);
  for (const at of o.x.ticks) {
    rule(x(at), x(at), height - 40, height - 36);
    const shown = o.x.format ? o.x.format(at) : String(at);
    // A wide number at the right end would be cut off.
    const anchor = x(at) > width - 20 && shown.length > 3 ? 'end' : 'middle';
    const end = anchor === 'end' ? width - 1 : x(at);
    element('text', { x: end, y: height - 23, 'text-anchor': anchor }, svg, shown);
  }
  for (const at of o.y.ticks) {
    rule(46, width - 14, y(at), y(at), true);
    const shown = o.y.format ? o.y.format(at) : String(at);
    element('text', { x: 41, y: y(at) + 4, 'text-anchor': 'end' }, svg, shown);
  }
  const middle = (46 + width - 14) / 2;
  element('text', { x: middle, y: height - 6, 'text-anchor': 'middle' }, svg, o.x.label);
  if (o.y.label) {
    const turned = 'translate(11 ' + (height - 40) / 2 + ') rotate(-90)';
    element('text', { transform: turned, 'text-anchor': 'middle' }, svg, o.y.label);
  }
  const path = (points) =>
    points.map(([a, b], i) => (i ? 'L' : 'M') + x(a).toFixed(1) + ' ' + y(b).toFixed(1)).join('');
  return { svg, x, y, path };
}

// The page's colours now, for what is drawn on a canvas.
function theme(box) {
  const style = getComputedStyle(box);
  const names = ['ink', 'paper', 'soft', 'line', 'accent'];
  return Object.fromEntries(
    names.map((name) => [name, style.getPropertyValue('--' + name).trim()]),
  );
}

function onTheme(redraw) {
  const watch = new MutationObserver(redraw);
  for (const watched of [document.documentElement, document.body]) {
    watch.observe(watched, { attributes: true });
  }
}

export function makeKit(box, colours) {
  const kit = { later: [], colours, el: element, button, voice, point, keys, calm, onTheme };
  Object.assign(kit, {
    sprite,
    bars,
    chart,
    scale,
    clamp,
    percent,
    softmax,
    bytes,
    bit,
    decodeMask,
    step,
    following,
    rgb,
    strokes,
  });
  kit.slider = (parent, o) => slider(kit, parent, o);
  kit.choice = (parent, o) => choice(kit, parent, o);
  kit.tick = (parent, o) => tick(kit, parent, o);
  kit.film = (parent, range, said, pause) => film(kit, parent, range, said, pause);
  kit.theme = () => theme(box);
  return kit;
}

// Finds the figure that this script belongs to and brings it to life; where that fails, the still picture stays.
export function wake(id, colours, height, show) {
  const here = document.currentScript;
  const around = here && here.closest ? here.closest('.dalle-explorer') : null;
  // A page that inserts scripts later, as JupyterLab does, has no current script.
  const box = around || document.querySelector('[data-explorer="' + id + '"]:not([data-live])');
  if (!box || box.hasAttribute('data-live')) {
    return;
  }
  const still = box.querySelector('.still');
  const root = element('div', {
    class: 'live',
    role: 'group',
    'aria-label': box.querySelector('.title').textContent,
    'aria-description': still.querySelector('img').alt,
  });
  if (height) {
    root.style.minHeight = height + 'px';
  }
  try {
    const data = JSON.parse(box.querySelector('script.data').textContent);
    const kit = makeKit(box, colours);
    box.insertBefore(root, still);
    show(root, data, kit);
    kit.later.forEach((change) => change());
    still.style.display = 'none';
    box.setAttribute('data-live', 'yes');
  } catch (error) {
    root.remove();
    box.setAttribute('data-broken', String(error));
    console.error(error);
  }
}
