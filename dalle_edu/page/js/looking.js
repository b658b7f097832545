// What stands beside the picture: the chosen token, what else it might have been, and what was read to choose it.

const SHOWN = 6;

// The mean over the heads of one layer's weights (heads, text + places): {text, places, weights}.
export function meanOfHeads({ weights, places }, textLength) {
  const count = textLength + places.length;
  const heads = weights.length / count;
  const mean = new Float32Array(count);
  weights.forEach((weight, i) => {
    mean[i % count] += weight / heads;
  });
  return { text: mean.subarray(0, textLength), weights: mean.subarray(textLength), places };
}

// Several layers as one: the mean of what each read, for all places.
export function meanOfLayers(layers, textLength, length) {
  const text = new Float32Array(textLength);
  const weights = new Float32Array(length);
  for (const layer of layers) {
    layer.text.forEach((weight, i) => {
      text[i] += weight / layers.length;
    });
    layer.places.forEach((place, i) => {
      weights[place] += layer.weights[i] / layers.length;
    });
  }
  return { text, weights, places: Array.from({ length }, (_, place) => place) };
}

// The likeliest codes, the chosen one among them: [{code, chance}], falling.
export function likeliest(chances, chosen) {
  const order = Array.from(chances, (chance, code) => ({ code, chance }))
    .toSorted((a, b) => b.chance - a.chance)
    .slice(0, SHOWN);
  if (!order.some(({ code }) => code === chosen)) {
    order[SHOWN - 1] = { code: chosen, chance: chances[chosen] };
  }
  return order;
}

// What a reader's words got, and all padding together.
export function shareOfWords(text, words) {
  const sum = (part) => part.reduce((a, b) => a + b, 0);
  return [
    ...words.map((word, i) => ({ word, share: text[i] })),
    { word: 'padding', share: sum(text.subarray(words.length)) },
  ];
}

// The panel. acts: {take(code), read(layer)}: another code is taken; the picture shows what a layer read.
export class Looking {
  constructor(parent, kit, told, acts) {
    Object.assign(this, { kit, told, acts, layer: -1 });
    this.paint = codePainter(told);
    this.root = kit.el('div', { class: 'looking grow' }, parent);
    this.title = kit.el('p', { class: 'hint' }, this.root);
    this.rest = kit.el('div', {}, this.root);
    this.hide(
      'Draw something, then choose a place in the picture: here stands how its token was chosen.',
    );
  }

  hide(text) {
    this.title.textContent = text;
    this.rest.hidden = true;
  }

  // found: {place, token, chances, layers, words} of one token.
  show(found) {
    const { kit, told } = this;
    const [, columns] = told.grid;
    const length = told.grid[0] * columns;
    const where = 'row ' + (Math.floor(found.place / columns) + 1);
    const token = where + ', column ' + ((found.place % columns) + 1) + ': code ' + found.token;
    this.title.textContent = 'Token ' + (found.place + 1) + ' of ' + length + ', ' + token + '.';
    const layers = found.layers.map((layer) => meanOfHeads(layer, told.text_length));
    this.read = [meanOfLayers(layers, told.text_length, length), ...layers];
    this.found = found;
    // The focus stays where it was: a reader on the keyboard goes on from there.
    const focused = this.focusedName();
    this.rest.hidden = false;
    this.rest.replaceChildren();
    kit.el(
      'p',
      { class: 'hint' },
      this.rest,
      'What it might have been; press one, and it is drawn on from there:',
    );
    this.codes();
    kit.el('p', { class: 'hint' }, this.rest, 'What was read to choose it, in each layer:');
    this.kinds();
    this.words = kit.el('div', { class: 'words' }, this.rest);
    this.choose(Math.min(this.layer, layers.length - 1));
    if (focused) {
      this.rest.querySelector('[data-name="' + focused + '"]')?.focus();
    }
  }

  focusedName() {
    const here = document.activeElement;
    return this.rest.contains(here) ? here.dataset.name : '';
  }

  codes() {
    const { kit, found } = this;
    const list = kit.el('div', { class: 'codes' }, this.rest);
    for (const { code, chance } of likeliest(found.chances, found.token)) {
      const chosen = code === found.token;
      const press = kit.button(list, '', () => this.acts.take(code));
      press.dataset.name = 'code-' + code;
      press.setAttribute('aria-pressed', String(chosen));
      press.setAttribute('aria-label', 'Code ' + code + ', chance ' + kit.percent(chance));
      this.paint(kit.el('canvas', { class: 'swatch pixels' }, press), code);
      const bar = kit.el('span', { class: 'track' }, press);
      kit.el('span', { class: 'bar', style: 'width:' + 100 * chance + '%' }, bar);
      kit.el('span', { class: 'note' }, press, kit.percent(chance));
    }
  }

  kinds() {
    const { kit, found } = this;
    const list = kit.el('div', { class: 'layers' }, this.rest);
    this.buttons = ['all', ...found.layers.map(({ kind }, i) => i + 1 + ' ' + kind)].map(
      (name, i) => {
        const press = kit.button(list, name, () => this.choose(i - 1));
        press.dataset.name = 'layer-' + i;
        return press;
      },
    );
  }

  // Layer -1 is the mean of all.
  choose(layer) {
    this.layer = layer;
    const { kit } = this;
    const read = this.read[layer + 1];
    this.buttons.forEach((press, i) => press.setAttribute('aria-pressed', String(i === layer + 1)));
    this.words.replaceChildren();
    const shares = shareOfWords(read.text, this.found.words);
    const text = shares.reduce((sum, { share }) => sum + share, 0);
    const lines = [...shares, { word: 'the picture', share: 1 - text }];
    for (const { word, share } of lines) {
      const line = kit.el('div', { class: 'line' }, this.words);
      kit.el('span', { class: 'name' }, line, word);
      const track = kit.el('span', { class: 'track' }, line);
      kit.el('span', { class: 'bar', style: 'width:' + 100 * kit.clamp(share, 0, 1) + '%' }, track);
      kit.el('span', { class: 'note' }, line, kit.percent(kit.clamp(share, 0, 1)));
    }
    this.acts.read(read);
  }
}

// A function that paints one code's picture onto a canvas; `told.pictures` has them once the model is open.
export function codePainter(told) {
  const side = told.size / told.grid[1];
  return (canvas, code) => {
    canvas.width = side;
    canvas.height = side;
    canvas
      .getContext('2d')
      .putImageData(imageOf(told.pictures.subarray(code * side * side * 3), side, 1), 0, 0);
  };
}

// Pixels (height, width, 3), times `scale`, as what a canvas takes; `width` is the picture's, and its height what there
// is, at most `width`.
export function imageOf(pixels, width, scale) {
  const height = Math.min(width, Math.floor(pixels.length / 3 / width));
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) {
      image.data[4 * i + c] = Math.round(pixels[3 * i + c] * scale);
    }
    image.data[4 * i + 3] = 255;
  }
  return image;
}
