// Where one token's attention went: bars for the words, squares on the picture's grid.

// The inverse of Python's `_encode`: a bit an entry, is it not zero; then a byte, 255 * sqrt(weight), for those.
export function decodeWeights([present, levels], length, kit) {
  const [bits, values] = [kit.bytes(present), kit.bytes(levels)];
  const weights = new Float32Array(length * length);
  let at = 0;
  for (let entry = 0; entry < weights.length; entry++) {
    if (kit.bit(bits, entry)) {
      weights[entry] = (values[at++] / 255) ** 2;
    }
  }
  return weights;
}

export function meanOf(maps) {
  const mean = new Float32Array(maps[0].length);
  maps.forEach((map) =>
    map.forEach((weight, entry) => {
      mean[entry] += weight / maps.length;
    }),
  );
  return mean;
}

// One row of a map, what `query` looks at, or one column, who looks at it.
export function lineOf(map, query, length, turned) {
  return Array.from({ length }, (_, other) =>
    turned ? map[other * length + query] : map[query * length + other],
  );
}

// The place of the patch that the state at `query` predicts, the next one; -1 where there is none.
export function predictedPlace(query, textLength, places) {
  const place = query + 1 - textLength;
  return place >= 0 && place < places ? place : -1;
}

export function sentence(name, values, words, turned) {
  const sum = (part) => part.reduce((a, b) => a + b, 0);
  const text = sum(values.slice(0, words.length));
  const picture = sum(values.slice(words.length));
  if (turned) {
    const parts =
      text.toFixed(2) + ' in sum from the text, ' + picture.toFixed(2) + ' from the picture.';
    return name + ' gets attention from others: ' + parts;
  }
  const best = words.reduce(
    (top, word, i) => (word && (top < 0 || values[i] > values[top]) ? i : top),
    -1,
  );
  const most =
    best >= 0 && values[best] > 0
      ? ', most to “' + words[best] + '” (' + (100 * values[best]).toFixed(1) + ' %)'
      : '';
  const share = name + ' gives ' + Math.round(100 * text) + ' % of its attention to the text';
  return share + most + ', and ' + Math.round(100 * picture) + ' % to the picture.';
}

export function show(root, data, kit) {
  const [height, width] = data.grid;
  const words = data.words;
  const length = words.length + height * width;
  const state = { layer: data.maps.length - 1, head: -1, turned: false, query: data.query };
  const map = mapsOf(data, length, kit);
  const controls = kit.el('div', {}, root);
  const layers = addControls(kit, controls, data, (dial, value) => {
    state[dial] = value;
    draw();
  });
  const help =
    'Token. Left and right arrow: the token before and after. Up and down: a row. ' +
    'Page up and down: another layer. Home and end: first and last token.';
  const frame = { class: 'row', style: 'padding:.3em', tabindex: 0, role: 'application' };
  const stage = kit.el('div', { ...frame, 'aria-label': help }, root);
  const left = kit.el('div', { class: 'grow' }, stage);
  const text = makeWords(kit, left, words, choose);
  const board = makeBoard(kit, kit.el('div', { class: 'grow' }, stage), data, draw);
  const said = kit.voice(root);
  const hint =
    'Point at a patch or a word, tap it, or use the arrow keys; page up and page down change the layer.';
  kit.el('p', { class: 'hint' }, root, hint);

  function name() {
    if (state.query < words.length) {
      return 'The word “' + (words[state.query] || '(padding)') + '”';
    }
    const place = state.query - words.length;
    return (
      'The patch in row ' + (Math.floor(place / width) + 1) + ', column ' + ((place % width) + 1)
    );
  }

  function draw() {
    const values = lineOf(map(state.layer, state.head), state.query, length, state.turned);
    text.draw(values, state);
    board.draw(values.slice(words.length), state.query - words.length);
    said.say(sentence(name(), values, words, state.turned));
    stage.setAttribute('data-query', state.query);
  }

  function choose(position) {
    if (position !== undefined && position !== state.query) {
      state.query = position;
      draw();
    }
  }

  kit.point(board.canvas, (x, y) =>
    choose(words.length + Math.floor(y * height) * width + Math.floor(x * width)),
  );
  kit.keys(stage, (key) => {
    if (layers && (key === 'PageUp' || key === 'PageDown')) {
      layers.go(Number(layers.value) + (key === 'PageDown' ? 1 : -1));
      return true;
    }
    const next = kit.step(key, state.query, state.query < words.length ? 1 : width, length);
    choose(next);
    return next;
  });
  draw();
}

// Decodes a map when it is first asked for; head -1 is the mean of all.
function mapsOf(data, length, kit) {
  const cache = new Map();
  return function map(layer, head) {
    const name = layer + ',' + head;
    if (!cache.has(name)) {
      const heads = data.maps[layer];
      const made =
        head >= 0
          ? decodeWeights(heads[head], length, kit)
          : meanOf(heads.map((_, one) => map(layer, one)));
      cache.set(name, made);
    }
    return cache.get(name);
  };
}

function addControls(kit, parent, data, change) {
  const [layers, heads] = [data.maps.length, data.maps[0].length];
  const slide =
    layers > 1 &&
    kit.slider(parent, {
      label: 'layer',
      min: 1,
      max: layers,
      value: layers,
      change: (value) => change('layer', value - 1),
    });
  if (heads > 1) {
    const names = ['mean of all', ...Array.from({ length: heads }, (_, head) => String(head + 1))];
    kit.choice(parent, {
      label: 'head',
      options: names,
      change: (value) => change('head', value - 1),
    });
  }
  kit.choice(parent, {
    label: 'show',
    options: ['what this token looks at', 'who looks at this token'],
    change: (value) => change('turned', value === 1),
  });
  return slide;
}

// A bar a word; all padding together in one.
function makeWords(kit, parent, words, choose) {
  const shown = words.map((word, index) => [word, index]).filter(([word]) => word);
  const padded = shown.length < words.length;
  const bars = kit.bars(parent, shown.length + (padded ? 1 : 0));
  bars.lines.forEach((line, i) => {
    line.line.classList.add('word');
    line.name.style.cssText = 'flex:0 0 7em;text-align:right;overflow-wrap:anywhere';
    line.bar.style.background = '#E69F00';
    if (i < shown.length) {
      line.line.style.cursor = 'crosshair';
      kit.point(line.line, () => choose(shown[i][1]));
    }
  });
  const paddingOf = (values) =>
    words.reduce((sum, word, index) => (word ? sum : sum + values[index]), 0);
  return {
    draw(values, { query, turned }) {
      const lines = shown.map(([word, index]) => [word, values[index], index === query]);
      if (padded) {
        lines.push(['(padding)', paddingOf(values), query < words.length && !words[query]]);
      }
      const most = Math.max(...lines.map((line) => line[1]), 1e-9);
      lines.forEach(([word, value, chosen], i) => {
        const note = turned ? value.toFixed(3) : (100 * value).toFixed(1) + ' %';
        bars.fill(i, { name: (chosen ? '× ' : '') + word, share: value / most, note });
      });
    },
  };
}

function makeBoard(kit, parent, data, redraw) {
  const [height, width] = data.grid;
  const size = Math.max(6, Math.floor(640 / width));
  const shape = { width: width * size, height: height * size, class: 'board' };
  const canvas = kit.el(
    'canvas',
    { ...shape, role: 'img', 'aria-label': 'attention on the picture' },
    parent,
  );
  kit.el(
    'small',
    {},
    parent,
    '×: the token, ?: the patch that its state predicts; the area of a square is its weight, the largest fills its cell',
  );
  const context = canvas.getContext('2d');
  const photo = data.picture ? new Image() : null;
  if (photo) {
    photo.addEventListener('load', redraw);
    photo.src = data.picture;
  }

  function ground() {
    context.fillStyle = '#fff';
    context.fillRect(0, 0, canvas.width, canvas.height);
    if (photo && photo.complete && photo.naturalWidth) {
      context.imageSmoothingEnabled = false;
      context.globalAlpha = 0.45;
      context.drawImage(photo, 0, 0, canvas.width, canvas.height);
      context.globalAlpha = 1;
    }
  }

  function cross(x, y) {
    for (const [colour, share] of [
      ['#fff', 0.22],
      ['#D55E00', 0.13],
    ]) {
      context.strokeStyle = colour;
      context.lineWidth = size * share;
      context.beginPath();
      context.moveTo(x + size * 0.15, y + size * 0.15);
      context.lineTo(x + size * 0.85, y + size * 0.85);
      context.moveTo(x + size * 0.85, y + size * 0.15);
      context.lineTo(x + size * 0.15, y + size * 0.85);
      context.stroke();
    }
  }

  function ask(x, y) {
    context.strokeStyle = '#D55E00';
    context.lineWidth = Math.max(1.5, size / 12);
    context.setLineDash([size / 4, size / 6]);
    context.strokeRect(x + 1, y + 1, size - 2, size - 2);
    context.setLineDash([]);
    context.fillStyle = '#D55E00';
    context.font = 'bold ' + Math.floor(size * 0.7) + 'px system-ui,sans-serif';
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.fillText('?', x + size / 2, y + size / 2);
  }

  function draw(values, query) {
    ground();
    const most = Math.max(...values);
    values.forEach((value, place) => {
      const [x, y] = [(place % width) * size, Math.floor(place / width) * size];
      const side = most > 0 ? Math.sqrt(value / most) * (size - 2) : 0;
      context.strokeStyle = 'rgba(134,142,150,.35)';
      context.lineWidth = 1;
      context.strokeRect(x, y, size, size);
      if (side > 0.7) {
        context.fillStyle = '#0072B2';
        context.fillRect(x + (size - side) / 2, y + (size - side) / 2, side, side);
      }
      if (place === query) {
        cross(x, y);
      }
    });
    const next = predictedPlace(query, 0, values.length);
    if (next >= 0) {
      ask((next % width) * size, Math.floor(next / width) * size);
    }
  }
  return { canvas, draw };
}
