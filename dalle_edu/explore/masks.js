// Who may look at whom: a mask as a matrix, and the keys of one query on the picture's grid.

// For each token: through how many layers, at least, it reaches the query; -1 where it cannot. `masks` are those of the
// layers up to the chosen one, the first layer first.
export function distances(masks, query, length) {
  const far = new Int16Array(length).fill(-1);
  let front = new Uint8Array(length);
  front[query] = 1;
  far[query] = 0;
  for (let layer = masks.length - 1, step = 1; layer >= 0; layer--, step++) {
    // The residual path keeps what is known.
    const next = front.slice();
    front.forEach((reached, from) => {
      if (!reached) {
        return;
      }
      for (let key = 0; key < length; key++) {
        next[key] |= masks[layer][from * length + key];
      }
    });
    next.forEach((reached, key) => {
      if (reached && far[key] < 0) {
        far[key] = step;
      }
    });
    front = next;
  }
  return far;
}

// What one query reads: numbers of keys of the text, earlier in the picture, itself and in its future.
export function readings(mask, query, textLength, length) {
  const counts = { text: 0, earlier: 0, itself: mask[query * length + query], future: 0 };
  for (let key = 0; key < length; key++) {
    if (mask[query * length + key]) {
      counts.text += key < textLength;
      counts.earlier += key >= textLength && key < query;
      counts.future += key >= textLength && key > query;
    }
  }
  return counts;
}

// The state at a position predicts the token after it: the first picture token, from the last of the text on. -1: none.
export function predictedBy(query, textLength, length) {
  return query >= textLength - 1 && query + 1 < length ? query + 1 : -1;
}

export function nameOf(position, textLength, width) {
  if (position < textLength) {
    return 'text token ' + (position + 1) + ' of ' + textLength;
  }
  const place = position - textLength;
  const where =
    '(row ' + (Math.floor(place / width) + 1) + ', column ' + ((place % width) + 1) + ')';
  return 'picture token ' + place + ' ' + where;
}

export function sentence(position, { text, earlier, itself, future }, textLength, width) {
  const name = nameOf(position, textLength, width);
  const start = name.charAt(0).toUpperCase() + name.slice(1);
  if (position < textLength) {
    const picture = earlier + future;
    return (
      start +
      ' reads ' +
      text +
      ' text tokens' +
      (picture ? ' and ' + picture + ' picture tokens!' : '.')
    );
  }
  const sum = text + earlier + itself + future;
  const own = itself ? ', itself' : ', not itself';
  const ahead = future ? ', and ' + future + ' of its future!' : '.';
  const parts = text + ' of the text, ' + earlier + ' earlier of the picture';
  return start + ' reads ' + sum + ' tokens: ' + parts + own + ahead;
}

function region(query, key, textLength) {
  if (query < textLength) {
    return 0;
  }
  return key < textLength ? 1 : 2;
}

export function show(root, data, kit) {
  const [height, width] = data.grid;
  const length = data.text + height * width;
  const masks = data.masks.map((code) => kit.decodeMask(code, length));
  const layered = data.layers.length > 0;
  const state = { query: data.query, chosen: 0, layer: 0, through: false };
  const which = () => (layered ? data.layers[state.layer] : state.chosen);
  const controls = kit.el('div', {}, root);
  const pick = addControls(kit, controls, data, state, draw);
  const keys =
    'Left and right arrow: the token before and after. Up and down: a row. ' +
    'Page up and down: another mask or layer. Home and end: first and last token.';
  const frame = { class: 'row', style: 'padding:.3em', tabindex: 0, role: 'application' };
  const stage = kit.el('div', { ...frame, 'aria-label': 'Query. ' + keys }, root);
  const matrix = makeMatrix(kit, kit.el('div', { class: 'grow' }, stage), data, length);
  const board = makeBoard(kit, kit.el('div', { class: 'grow' }, stage), data);
  const said = kit.voice(root);
  const hint =
    'Point at a token, tap it, or use the arrow keys; page up and page down change the mask.';
  kit.el('p', { class: 'hint' }, root, hint);

  function draw() {
    const mask = masks[which()];
    const below = state.through ? data.layers.slice(0, state.layer + 1).map((m) => masks[m]) : null;
    const far = below && distances(below, state.query, length);
    matrix.draw(mask, which(), state.query);
    board.draw(mask, state.query, far, length);
    let line = sentence(
      state.query,
      readings(mask, state.query, data.text, length),
      data.text,
      width,
    );
    const predicted = predictedBy(state.query, data.text, length);
    if (predicted >= 0) {
      line += ' Its state predicts ' + nameOf(predicted, data.text, width) + '.';
    }
    if (far) {
      const reach = far.filter((steps) => steps > 0).length;
      line +=
        ' Through layers 1 to ' + (state.layer + 1) + ', ' + reach + ' other tokens can reach it.';
    }
    said.say(line);
    stage.setAttribute('data-query', state.query);
  }

  function choose(position) {
    if (position !== undefined && position !== state.query) {
      state.query = position;
      draw();
    }
  }

  kit.point(matrix.canvas, (x, y) => choose(Math.min(length - 1, Math.floor(y * length))));
  kit.point(board.canvas, (x, y) => choose(board.positionAt(x, y)));
  kit.keys(stage, (key) => {
    if (pick && (key === 'PageUp' || key === 'PageDown')) {
      const first = layered ? 1 : 0;
      const last = layered ? data.layers.length : masks.length - 1;
      pick.go(kit.clamp(Number(pick.value) + (key === 'PageDown' ? 1 : -1), first, last));
      return true;
    }
    const next = kit.step(key, state.query, width, length);
    choose(next);
    return next;
  });
  draw();
}

function addControls(kit, parent, data, state, draw) {
  if (data.layers.length > 0) {
    const names = data.layers.map((mask, i) => {
      const name = data.masks[mask].name;
      return name === 'layer ' + (i + 1) ? String(i + 1) : i + 1 + ': ' + name;
    });
    const pick = kit.slider(parent, {
      label: 'layer',
      min: 1,
      max: names.length,
      value: 1,
      format: (value) => names[value - 1],
      change: (value) => {
        state.layer = value - 1;
        draw();
      },
    });
    kit.tick(parent, {
      label: 'through all layers up to this one',
      change: (on) => {
        state.through = on;
        draw();
      },
    });
    return pick;
  }
  if (data.masks.length === 1) {
    return null;
  }
  return kit.choice(parent, {
    label: 'mask',
    options: data.masks.map((mask) => mask.name),
    change: (value) => {
      state.chosen = value;
      draw();
    },
  });
}

// A mask as a picture of a pixel an entry, coloured by who looks at whom.
function pictureOf(kit, mask, length, data) {
  const colours = data.colours.map(kit.rgb);
  const image = new ImageData(length, length);
  mask.forEach((looks, at) => {
    const [query, key] = [Math.floor(at / length), at % length];
    const colour = looks ? colours[region(query, key, data.text)] : [255, 255, 255];
    image.data.set([...colour, 255], 4 * at);
  });
  const canvas = document.createElement('canvas');
  canvas.width = length;
  canvas.height = length;
  canvas.getContext('2d').putImageData(image, 0, 0);
  return canvas;
}

function makeMatrix(kit, parent, data, length) {
  const cell = Math.max(1, Math.floor(660 / length));
  const side = length * cell;
  const shape = { width: side, height: side, role: 'img', 'aria-label': 'the mask as a matrix' };
  const canvas = kit.el('canvas', { ...shape, class: 'board pixels matrix' }, parent);
  kit.el('small', {}, parent, 'rows: queries, columns: keys');
  const context = canvas.getContext('2d');
  const pictures = new Map();

  function rules(width, colour, places) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    for (const place of places) {
      context.moveTo(place * cell, 0);
      context.lineTo(place * cell, side);
      context.moveTo(0, place * cell);
      context.lineTo(side, place * cell);
    }
    context.stroke();
  }

  // The query's row in full colour and framed, all others pale.
  function row(mask, query) {
    const thick = Math.max(cell, Math.ceil(side / 130));
    const top = query * cell + (cell - thick) / 2;
    context.fillStyle = '#fff';
    context.fillRect(0, top, side, thick);
    for (let key = 0; key < length; key++) {
      if (mask[query * length + key]) {
        context.fillStyle = data.colours[region(query, key, data.text)];
        context.fillRect(key * cell, top, cell, thick);
      }
    }
    context.strokeStyle = data.colours[3];
    context.lineWidth = (2 * side) / 660;
    context.strokeRect(0, top, side, thick);
  }

  function draw(mask, which, query) {
    if (!pictures.has(which)) {
      pictures.set(which, pictureOf(kit, mask, length, data));
    }
    context.imageSmoothingEnabled = false;
    context.fillStyle = '#fff';
    context.fillRect(0, 0, side, side);
    context.globalAlpha = 0.4;
    context.drawImage(pictures.get(which), 0, 0, side, side);
    context.globalAlpha = 1;
    if (cell > 5) {
      rules(
        1,
        '#ced4da',
        Array.from({ length: length + 1 }, (_, i) => i),
      );
    }
    if (data.text) {
      rules(Math.max(1, side / 660), '#000', [data.text]);
    }
    row(mask, query);
  }
  return { canvas, draw };
}

// The text in rows above the picture's grid, a square a token.
export function layout(textLength, [height, width]) {
  const columns = Math.max(width, Math.min(textLength, 8));
  const textRows = Math.ceil(textLength / columns);
  const gap = textLength ? 0.6 : 0;
  const place = (position) =>
    position < textLength
      ? [position % columns, Math.floor(position / columns)]
      : [
          (position - textLength) % width,
          textRows + gap + Math.floor((position - textLength) / width),
        ];
  const positionAt = (column, row) => {
    if (row < textRows) {
      const position = Math.floor(row) * columns + column;
      return position < textLength ? position : undefined;
    }
    const line = Math.floor(row - textRows - gap);
    return line >= 0 && line < height && column < width
      ? textLength + line * width + column
      : undefined;
  };
  return { columns, rows: textRows + gap + height, place, positionAt };
}

function makeBoard(kit, parent, data) {
  const plan = layout(data.text, data.grid);
  const size = Math.max(8, Math.floor(660 / plan.columns));
  const shape = { width: plan.columns * size + 2, height: Math.ceil(plan.rows * size) + 2 };
  const look = { role: 'img', 'aria-label': 'the keys of the query', class: 'board' };
  const canvas = kit.el(
    'canvas',
    {
      ...shape,
      ...look,
      style: 'max-height:32em;object-fit:contain;border:0',
    },
    parent,
  );
  const order = data.text ? 'the text above, the picture below; ' : 'the picture; ';
  const legend = kit.el('small', {}, parent);
  const context = canvas.getContext('2d');

  function cross(x, y) {
    context.strokeStyle = '#fff';
    context.lineWidth = Math.max(2, size / 9);
    strokes(
      [
        [0.25, 0.25, 0.75, 0.75],
        [0.75, 0.25, 0.25, 0.75],
      ],
      x,
      y,
    );
  }

  const strokes = (lines, x, y) => kit.strokes(context, lines, x, y, size);

  // The patch that the query's state predicts: what is drawn next.
  function ask(x, y) {
    context.strokeStyle = data.colours[3];
    context.lineWidth = Math.max(2, size / 10);
    context.setLineDash([size / 4, size / 6]);
    const inset = context.lineWidth / 2;
    context.strokeRect(x + inset, y + inset, size - 2 * inset, size - 2 * inset);
    context.setLineDash([]);
    if (size >= 14) {
      context.fillStyle = data.colours[3];
      context.fillText('?', x + size / 2, y + size / 2);
    }
  }

  function square(x, y, { fill, hatched }) {
    context.fillStyle = fill;
    context.fillRect(x, y, size, size);
    context.lineWidth = 1;
    if (hatched) {
      context.strokeStyle = '#adb5bd';
      strokes(
        [
          [0, 1, 1, 0],
          [0, 0.5, 0.5, 0],
          [0.5, 1, 1, 0.5],
        ],
        x,
        y,
      );
    }
    context.strokeStyle = '#868e96';
    context.strokeRect(x, y, size, size);
  }

  function mark(x, y, { isQuery, reads, steps }) {
    context.fillStyle = isQuery || reads ? '#fff' : '#000';
    if (isQuery) {
      cross(x, y);
    } else if (steps > 0 && size >= 18) {
      context.fillText(steps, x + size / 2, y + size / 2);
    } else if (reads) {
      context.beginPath();
      context.arc(x + size / 2, y + size / 2, Math.max(1.5, size / 9), 0, 7);
      context.fill();
    }
  }

  function fillOf(position, query, reads, steps) {
    if (position === query || reads) {
      return data.colours[position === query ? 3 : 2];
    }
    return steps > 0 ? '#b8dcf2' : position < query ? '#dee2e6' : '#fff';
  }

  function draw(mask, query, far, length) {
    context.fillStyle = '#fff';
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.font = Math.floor(size * 0.5) + 'px system-ui,sans-serif';
    for (let position = 0; position < length; position++) {
      const [x, y] = plan.place(position).map((units) => units * size + 1);
      const reads = mask[query * length + position];
      const steps = far ? far[position] : -1;
      const hatched = position > query && !reads && steps < 0 && size > 14;
      square(x, y, { fill: fillOf(position, query, reads, steps), hatched });
      mark(x, y, { isQuery: position === query, reads, steps });
    }
    const predicted = predictedBy(query, data.text, length);
    if (predicted >= 0) {
      ask(...plan.place(predicted).map((units) => units * size + 1));
    }
    const future = size > 14 ? 'hatched' : 'white';
    const signs = '×: the query, ?: the token that it predicts, •: a key that it reads';
    legend.textContent = `${order}${signs}, grey: earlier and not read, ${future}: the future${far ? ', numbers: through how many layers' : ''}`;
  }

  // `object-fit: contain` can leave empty margins beside the drawing.
  function positionAt(x, y) {
    const box = canvas.getBoundingClientRect();
    const shown = Math.min(box.width / canvas.width, box.height / canvas.height);
    const across = (x * box.width - (box.width - canvas.width * shown) / 2) / shown;
    const down = (y * box.height - (box.height - canvas.height * shown) / 2) / shown;
    const column = Math.floor((across - 1) / size);
    const inside = column >= 0 && column < plan.columns && down >= 1;
    return inside ? plan.positionAt(column, (down - 1) / size) : undefined;
  }
  return { canvas, draw, positionAt };
}
