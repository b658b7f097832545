// One stream of word pieces, padding and picture tokens: what each position holds, and what it must predict.

const SQUARE = 20;
const COLUMNS = 6;

// What stands at a position of the stream of one caption.
export function holds(position, words, tokens, { length, vocabulary, grid }) {
  if (position < words.length) {
    return 'the word piece “' + words[position][0].trim() + '”, token ' + words[position][1];
  }
  if (position < length) {
    return 'padding of place ' + position + ', token ' + (vocabulary + position);
  }
  const place = position - length;
  const where = ', row ' + Math.floor(place / grid[1]) + ', column ' + (place % grid[1]);
  return 'picture token ' + tokens[place] + where;
}

export function predicts(position, words, tokens, data) {
  const next = position + 1;
  if (next < data.length && next >= words.length) {
    return 'nothing: padding is no target';
  }
  const end = data.length + data.grid[0] * data.grid[1];
  return next < end ? holds(next, words, tokens, data) : 'nothing: the picture is finished';
}

// Which learned vectors are added to the token's own.
export function placeVector(position, length, width) {
  if (position < length) {
    return 'text vector ' + position;
  }
  const place = position - length;
  return 'row vector ' + Math.floor(place / width) + ' + column vector ' + (place % width);
}

export function show(root, data, kit) {
  const [height, width] = data.grid;
  const count = data.length + height * width;
  // It opens on the last word: what follows it is padding, which is no target.
  const state = { caption: 0, at: data.words[0].length - 1 };
  const controls = kit.el('div', {}, root);
  kit.choice(controls, {
    label: 'caption',
    options: data.captions,
    change: (value) => {
      state.caption = value;
      draw();
    },
  });
  const jump = kit.button(controls, 'To the first picture token', () => choose(data.length));
  const help =
    'Stream. Left and right arrow: the position before and after. Up and down: a row. ' +
    'Home and end: first and last position.';
  const frame = { class: 'row', style: 'padding:.3em', tabindex: 0, role: 'application' };
  const stage = kit.el('div', { ...frame, 'aria-label': help }, root);
  const boxes = makeBoxes(kit, stage, data, choose);
  const board = makeBoard(kit, stage, data);
  const said = kit.voice(root);
  const hint =
    'Point at a position, tap it, or use the arrow keys. Solid frame: chosen. Dashed: what it predicts. Hatched: padding.';
  kit.el('p', { class: 'hint' }, root, hint);

  function draw() {
    const [words, tokens] = [data.words[state.caption], data.tokens[state.caption]];
    boxes.forEach((box, i) => {
      box.textContent = i < words.length ? words[i][0].trim() : 'pad ' + i;
      const hatched = 'repeating-linear-gradient(45deg,#e9ecef 0 5px,#ced4da 5px 7px)';
      box.style.background = i < words.length ? kit.colours[5] : hatched;
      const dashed = i === state.at + 1 ? '2px dashed ' + kit.colours[0] : '2px solid transparent';
      box.style.border = i === state.at ? '2px solid ' + kit.colours[1] : dashed;
    });
    board.draw(data.pictures[state.caption], state.at - data.length);
    const vector = placeVector(state.at, data.length, width);
    said.say(
      'Position ' +
        state.at +
        ' of ' +
        count +
        ' holds ' +
        holds(state.at, words, tokens, data) +
        '. Its state starts as the token’s vector + ' +
        vector +
        '. It must predict: ' +
        predicts(state.at, words, tokens, data) +
        '.',
    );
    jump.disabled = state.at === data.length;
  }

  function choose(position) {
    if (position !== undefined && position !== state.at) {
      state.at = position;
      draw();
    }
  }
  kit.point(board.svg, (x, y) => {
    const column = Math.floor((x * (width * SQUARE + 2) - 1) / SQUARE);
    const row = Math.floor((y * (height * SQUARE + 2) - 1) / SQUARE);
    if (column >= 0 && column < width && row >= 0 && row < height) {
      choose(data.length + row * width + column);
    }
  });
  kit.keys(stage, (key) => {
    const next = kit.step(key, state.at, state.at < data.length ? COLUMNS : width, count);
    choose(next);
    return next;
  });
}

function makeBoxes(kit, stage, data, choose) {
  const layout =
    'flex:1 1 15em;display:grid;grid-template-columns:repeat(' + COLUMNS + ',1fr);gap:3px';
  const texts = kit.el('div', { style: layout }, stage);
  const look =
    'padding:.15em .1em;text-align:center;font-size:12px;line-height:1.2;overflow-wrap:anywhere;' +
    'color:#000;border:2px solid transparent;border-radius:3px;cursor:crosshair;min-height:2.4em';
  return Array.from({ length: data.length }, (_, i) => {
    const box = kit.el('div', { style: look }, texts);
    kit.point(box, () => choose(i));
    return box;
  });
}

function makeBoard(kit, stage, data) {
  const [height, width] = data.grid;
  const [wide, high] = [width * SQUARE, height * SQUARE];
  const svg = kit.el(
    'svg',
    {
      viewBox: '-1 -1 ' + (wide + 2) + ' ' + (high + 2),
      role: 'img',
      'aria-label': 'the picture’s tokens, row by row',
      style: 'flex:1 1 15em;max-width:22em;background:#fff;cursor:crosshair',
    },
    stage,
  );
  const size = { width: wide, height: high, class: 'pixels', preserveAspectRatio: 'none' };
  const picture = kit.el('image', size, svg);
  const thin = { stroke: '#868e96', 'stroke-width': 0.4 };
  for (let k = 0; k <= width; k++) {
    kit.el('line', { x1: k * SQUARE, x2: k * SQUARE, y1: 0, y2: high, ...thin }, svg);
  }
  for (let k = 0; k <= height; k++) {
    kit.el('line', { x1: 0, x2: wide, y1: k * SQUARE, y2: k * SQUARE, ...thin }, svg);
  }
  const square = { width: SQUARE, height: SQUARE, fill: 'none' };
  const dashed = { stroke: kit.colours[0], 'stroke-width': 2, 'stroke-dasharray': '4 2' };
  const next = kit.el('rect', { ...square, ...dashed }, svg);
  const ring = kit.el('rect', { ...square, stroke: kit.colours[1], 'stroke-width': 3 }, svg);
  return {
    svg,
    draw(address, place) {
      picture.setAttribute('href', address);
      for (const [mark, at] of [
        [ring, place],
        [next, place + 1],
      ]) {
        const inside = at >= 0 && at < width * height;
        mark.setAttribute('visibility', inside ? 'visible' : 'hidden');
        if (inside) {
          mark.setAttribute('x', (at % width) * SQUARE);
          mark.setAttribute('y', Math.floor(at / width) * SQUARE);
        }
      }
    },
  };
}
