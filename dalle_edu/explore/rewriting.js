// One token of a picture under another code: what the decoder makes of it, decoded beforehand.

// What a code is to a place: 0 its own, then the next most probable ones, then codes at random.
export function kindOf(choice, runnersUp) {
  if (choice === 0) {
    return 'its own';
  }
  return choice <= runnersUp ? 'a runner-up' : 'a stranger';
}

export function labelOf(choice, runnersUp, code, chance) {
  const names = ['the picture’s own', 'next most probable', 'third most probable'];
  const rank = names[choice] || 'no. ' + (choice + 1) + ' by probability';
  const likely = chance < 1 ? 'under 1 %' : chance + ' %';
  return (choice <= runnersUp ? rank : 'any other code') + ': ' + code + ' (' + likely + ')';
}

export function show(root, data, kit) {
  const [rows, columns] = data.grid;
  const [high, wide] = data.size;
  const zoom = Math.max(1, Math.floor(256 / wide));
  const state = { place: data.start, choice: data.others[0].length };
  const row = kit.el('div', { class: 'row' }, root);
  const first = panel('original', { role: 'img', 'aria-label': 'the original' });
  const second = panel('decoded from the tokens', {
    tabindex: 0,
    role: 'application',
    'aria-label': 'Token grid. Arrow keys choose a token, the buttons below give it a code.',
  });
  const said = kit.voice(root);
  const buttons = kit.el('div', { style: 'display:flex;flex-wrap:wrap;gap:.4em' }, root);
  const sources = [data.original, data.decoded, data.sheet].map((address) => {
    const image = new Image();
    image.addEventListener('load', draw);
    image.src = address;
    return image;
  });
  const choices = Array.from({ length: 1 + data.others[0].length }, (_, choice) => {
    const button = kit.button(buttons, '', () => choose(choice));
    button.style.cssText = 'display:flex;gap:.5em;align-items:center';
    const size = { width: 36, height: 36, class: 'pixels' };
    button.patch = kit.el('canvas', { ...size, role: 'img', 'aria-label': 'the patch' }, button);
    button.words = kit.el('span', {}, button);
    return button;
  });
  const hint =
    'It opens with one token changed to a code at random. Choose a place in either picture.';
  kit.el('p', { class: 'hint' }, root, hint);

  function panel(name, attributes) {
    const box = kit.el('div', {}, row);
    kit.el('div', {}, box, name);
    const shape = {
      width: wide * zoom,
      height: high * zoom,
      style: 'max-width:100%;cursor:crosshair',
    };
    return kit.el('canvas', { ...shape, ...attributes }, box);
  }

  const codeOf = (choice) =>
    choice === 0 ? data.tokens[state.place] : data.others[state.place][choice - 1];
  // Which image holds the picture under a choice, and where in it.
  const frameOf = (choice) =>
    choice === 0 ? [sources[1], 0, 0] : [sources[2], (choice - 1) * wide, state.place * high];

  function paint(canvas, [source, x, y], part = [0, 0, wide, high]) {
    if (source.complete && source.naturalWidth) {
      const context = canvas.getContext('2d');
      context.imageSmoothingEnabled = false;
      const [left, top, across, down] = part;
      const { width, height } = canvas;
      context.drawImage(source, x + left, y + top, across, down, 0, 0, width, height);
    }
  }

  function draw() {
    const [across, down] = [wide / columns, high / rows];
    const [column, line] = [state.place % columns, Math.floor(state.place / columns)];
    paint(first, [sources[0], 0, 0]);
    paint(second, frameOf(state.choice));
    const part = [column * across, line * down, across, down];
    choices.forEach((button, choice) => paint(button.patch, frameOf(choice), part));
    for (const canvas of [first, second]) {
      const context = canvas.getContext('2d');
      for (const [width, colour] of [
        [3, '#fff'],
        [1.5, '#000'],
      ]) {
        context.lineWidth = width;
        context.strokeStyle = colour;
        const place = part.map((pixels) => pixels * zoom);
        context.strokeRect(place[0] - 1, place[1] - 1, place[2] + 2, place[3] + 2);
      }
    }
  }

  function choose(choice) {
    state.choice = choice;
    const chance = data.chances[state.place][choice];
    const where =
      'Row ' +
      (Math.floor(state.place / columns) + 1) +
      ', column ' +
      ((state.place % columns) + 1);
    const what = ': code ' + codeOf(choice) + ', ' + kindOf(choice, data.runnersUp);
    const likely = chance < 1 ? 'less than 1' : chance;
    said.say(where + what + '; the encoder gave it ' + likely + ' %.');
    choices.forEach((button, other) => {
      button.setAttribute('aria-pressed', other === choice);
      const chances = data.chances[state.place][other];
      button.words.textContent = labelOf(other, data.runnersUp, codeOf(other), chances);
    });
    draw();
  }

  function go(place) {
    state.place = place;
    choose(0);
  }
  for (const canvas of [first, second]) {
    canvas.style.touchAction = 'pan-y';
    canvas.addEventListener('click', (event) => {
      const box = canvas.getBoundingClientRect();
      const x = Math.floor(((event.clientX - box.left) / box.width) * columns);
      const y = Math.floor(((event.clientY - box.top) / box.height) * rows);
      go(kit.clamp(y, 0, rows - 1) * columns + kit.clamp(x, 0, columns - 1));
    });
  }
  kit.keys(second, (key) => {
    const next = walk(key, state.place, columns, rows);
    if (next !== undefined) {
      go(next);
    }
    return next;
  });
  choose(state.choice);
}

// Arrow keys, each stopping at its own edge: the place is a square of a picture, not a position of a stream.
export function walk(key, place, columns, rows) {
  const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (!(key in ways)) {
    return undefined;
  }
  const column = Math.max(0, Math.min(columns - 1, (place % columns) + ways[key][0]));
  const row = Math.max(0, Math.min(rows - 1, Math.floor(place / columns) + ways[key][1]));
  return row * columns + column;
}
