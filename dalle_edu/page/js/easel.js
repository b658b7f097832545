// The picture, large, with the grid of its tokens: what is drawn, which token is chosen, and what was read for it.
import { codePainter, imageOf } from './looking.js';

const CELL = 28; // pixels of the canvas a token

// One drawing: its tokens, and its picture on a small canvas of its own.
class Sample {
  constructor(id, prompt, told, kit) {
    Object.assign(this, { id, prompt, told, tokens: [], sure: [], score: null, done: false });
    this.side = told.size / told.grid[1];
    this.canvas = kit.el('canvas', { width: told.size, height: told.size, class: 'pixels' });
    this.pen = this.canvas.getContext('2d');
    this.tile = document.createElement('canvas');
    this.paintCode = codePainter(told);
  }

  // A token is there: what its code looks like among its likes, until the decoder has seen its neighbours.
  take(place, token, sure = 1) {
    this.tokens[place] = token;
    this.sure[place] = sure;
    this.paintCode(this.tile, token);
    const [row, column] = [Math.floor(place / this.told.grid[1]), place % this.told.grid[1]];
    this.pen.drawImage(this.tile, column * this.side, row * this.side);
  }

  // The next place after `place`, going round, where no code had a chance of one half; undefined where there is none.
  hesitation(place) {
    const unsure = [...this.sure.keys()].filter((at) => this.sure[at] < 0.5);
    return unsure.find((at) => at > place) ?? unsure[0];
  }

  // Where the model was least sure.
  leastSure() {
    return this.sure.indexOf(Math.min(...this.sure));
  }

  // The decoder's picture of the rows that are whole; numbers from 0 to 255 / `scale`.
  paint(pixels, scale) {
    this.pen.putImageData(imageOf(pixels, this.told.size, scale), 0, 0);
  }

  // The same picture as another's, up to `place`.
  copy(other, place) {
    const row = Math.floor(place / this.told.grid[1]);
    const [across, down] = [(place % this.told.grid[1]) * this.side, row * this.side];
    const part = (width, top, height) =>
      width && height
        ? this.pen.drawImage(other.canvas, 0, top, width, height, 0, top, width, height)
        : null;
    part(this.told.size, 0, down);
    part(across, down, this.side);
  }
}

export class Easel {
  constructor(parent, kit, told, look) {
    Object.assign(this, { kit, told, look, chosen: -1, seen: null, shown: null, waiting: false });
    const [rows, columns] = told.grid;
    this.canvas = kit.el(
      'canvas',
      { class: 'easel', width: columns * CELL, height: rows * CELL, tabindex: 0, role: 'img' },
      parent,
    );
    this.next = kit.button(parent, 'Next hesitation', () =>
      this.look(this.shown.hesitation(this.chosen) ?? this.shown.leastSure()),
    );
    this.next.title = 'Where no code had a chance of one half';
    this.numbers = kit.tick(parent, {
      label: 'numbers of the tokens',
      value: false,
      change: () => this.soon(),
    });
    this.canvas.addEventListener('click', (event) => {
      const box = this.canvas.getBoundingClientRect();
      const column = Math.floor(((event.clientX - box.left) / box.width) * columns);
      const row = Math.floor(((event.clientY - box.top) / box.height) * rows);
      this.look(kit.clamp(row, 0, rows - 1) * columns + kit.clamp(column, 0, columns - 1));
    });
    kit.keys(this.canvas, (key) => {
      const count = this.shown.tokens.length;
      if (!count) {
        return undefined;
      }
      const place = this.chosen < 0 ? 0 : kit.step(key, this.chosen, columns, count);
      if (place !== undefined && kit.step(key, 0, columns, count) !== undefined) {
        this.look(place);
        return place;
      }
      return undefined;
    });
    kit.onTheme(() => this.soon());
  }

  sample(id, prompt) {
    return new Sample(id, prompt, this.told, this.kit);
  }

  show(sample) {
    this.shown = sample;
    this.seen = null;
    this.soon();
  }

  choose(place) {
    this.chosen = place;
    this.seen = null;
    this.soon();
  }

  // What was read to choose the token: {places, weights}.
  read(seen) {
    this.seen = seen;
    this.soon();
  }

  // Paints before the screen's next frame, once, however often it is asked.
  soon() {
    if (!this.waiting && this.shown) {
      this.waiting = true;
      requestAnimationFrame(() => {
        this.waiting = false;
        this.paint();
      });
    }
  }

  paint() {
    const { shown, canvas, kit } = this;
    this.next.hidden = !shown.sure.length;
    const pen = canvas.getContext('2d');
    const colours = kit.theme();
    const [, columns] = this.told.grid;
    pen.fillStyle = colours.soft;
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(shown.canvas, 0, 0, canvas.width, canvas.height);
    const at = (place) => [(place % columns) * CELL, Math.floor(place / columns) * CELL];
    if (this.seen) {
      this.paintRead(pen, at);
    }
    pen.lineWidth = 0.5;
    pen.strokeStyle = 'rgba(128, 128, 128, 0.45)';
    const count = shown.tokens.length;
    for (let place = 0; place < count; place++) {
      const [x, y] = at(place);
      pen.strokeRect(x, y, CELL, CELL);
      if (this.numbers.checked) {
        this.paintNumber(pen, shown.tokens[place], x, y);
      }
    }
    this.frame(pen, shown.done || shown.id < 0 ? -1 : count, kit.colours[1], at);
    this.frame(pen, this.chosen < count ? this.chosen : -1, kit.colours[0], at);
    canvas.dataset.tokens = shown.tokens.join(' ');
    const drawn = count + ' of ' + this.told.grid[0] * columns + ' tokens';
    canvas.setAttribute(
      'aria-label',
      'A drawing of “' + shown.prompt + '”, ' + drawn + '. Arrow keys choose a token.',
    );
  }

  // The rest of the picture becomes pale, so that what was read stands out.
  paintRead(pen, at) {
    const most = Math.max(...this.seen.weights, 1e-9);
    pen.fillStyle = 'rgba(255, 255, 255, 0.55)';
    pen.fillRect(0, 0, this.canvas.width, this.canvas.height);
    pen.fillStyle = this.kit.colours[0];
    this.seen.places.forEach((place, i) => {
      pen.globalAlpha = 0.9 * Math.sqrt(this.seen.weights[i] / most);
      pen.fillRect(...at(place), CELL, CELL);
    });
    pen.globalAlpha = 1;
  }

  paintNumber(pen, token, x, y) {
    pen.font = '9px system-ui, sans-serif';
    pen.textAlign = 'center';
    pen.fillStyle = 'rgba(255, 255, 255, 0.7)';
    pen.fillRect(x + 2, y + 8, CELL - 4, 12);
    pen.fillStyle = '#000';
    pen.fillText(token, x + CELL / 2, y + 17);
  }

  frame(pen, place, colour, at) {
    if (place < 0) {
      return;
    }
    const [x, y] = at(place);
    pen.lineWidth = 5;
    pen.strokeStyle = '#000';
    pen.strokeRect(x, y, CELL, CELL);
    pen.lineWidth = 3;
    pen.strokeStyle = colour;
    pen.strokeRect(x, y, CELL, CELL);
  }
}
