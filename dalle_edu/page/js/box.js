// The box: a sentence and a button, the picture as its tokens appear, the samples, and what stands beside it.
import { bytes, makeKit } from '../../explore/kit.js';
import { Easel } from './easel.js';
import { controls } from './controls.js';
import { loadCodes, loadModel } from './load.js';
import { Looking } from './looking.js';
import { Studio } from './studio.js';

export class Box {
  constructor(box, source) {
    this.told = JSON.parse(box.querySelector('script.data').textContent);
    const kit = makeKit(box, ['#e69f00', '#56b4e9', '#009e73']);
    Object.assign(this, { box, kit, source, samples: [], shown: null, next: 0, studio: null });
    const still = box.querySelector('.still');
    this.root = kit.el('div', { class: 'live', role: 'group', 'aria-label': 'Draw with DALL·E' });
    box.insertBefore(this.root, still);
    this.controls = controls(this.root, kit, this.told, {
      draw: () => this.draw(),
      stop: () => this.stop(),
    });
    this.said = kit.voice(this.root);
    const desk = kit.el('div', { class: 'desk' }, this.root);
    const left = kit.el('div', { class: 'left' }, desk);
    this.easel = new Easel(left, kit, this.told, (place) => this.look(place));
    this.strip = kit.el('div', { class: 'samples', role: 'group', 'aria-label': 'Samples' }, left);
    this.looking = new Looking(desk, kit, this.told, {
      take: (code) => this.branch(code),
      read: (read) => this.easel.read(read),
    });
    if (this.told.source) {
      kit.el('p', { class: 'hint' }, this.root, this.told.source);
    }
    kit.later.forEach((change) => change());
    this.example();
    still.remove();
    box.setAttribute('data-live', 'yes');
    this.state('still');
  }

  // still, loading, drawing or done.
  state(name) {
    this.box.dataset.state = name;
    this.controls.busy(name === 'loading' || name === 'drawing');
    this.said.hush(name === 'drawing');
  }

  say(text) {
    this.said.say(text);
  }

  // What is seen before anybody has drawn: a drawing that Python made of the same model.
  example() {
    const { prompt, tokens, pixels } = this.told.example;
    const sample = this.easel.sample(-1, prompt);
    sample.tokens = tokens;
    sample.paint(bytes(pixels), 1);
    this.show(sample);
    const size = Math.round(this.told.bytes / 1e6);
    this.say(
      '“' +
        prompt +
        '”, drawn before. The first drawing of your own loads the model, ' +
        size +
        ' MB.',
    );
  }

  // The model, loaded once, on the first press.
  async open() {
    if (this.studio) {
      return;
    }
    this.state('loading');
    this.say('Loading the model …');
    this.told.pictures = bytes(await loadCodes(this.told));
    const buffer = await loadModel(this.told, (share) => this.controls.progress(share));
    this.studio = new Studio(this.source, buffer, (message) => this.hear(message));
  }

  // What the first worker answers to a question that is about no sample.
  answer(message, says) {
    return new Promise((resolve, reject) => {
      this.waiting = { says, resolve, reject };
      this.studio.ask(message);
    });
  }

  async draw() {
    try {
      const dials = this.controls.dials();
      await this.open();
      this.state('loading');
      this.said.say('Reading the sentence …');
      const { words, warning } = await this.answer(
        { task: 'check', prompt: dials.prompt },
        'words',
      );
      Object.assign(this, { words, warning });
      dials.given = await this.given(dials);
      this.start(dials);
    } catch (error) {
      this.fail(error.message);
    }
  }

  // The tokens of the first rows of a picture of the reader's own.
  async given({ pixels, rows }) {
    if (!pixels || !rows) {
      return [];
    }
    const { tokens } = await this.answer({ task: 'encode', pixels }, 'tokens');
    return tokens.slice(0, rows * this.told.grid[1]);
  }

  start({ prompt, samples, temperature, guidance, seed, given }) {
    this.studio.clear();
    this.studio.hire(samples);
    this.state('drawing');
    this.strip.replaceChildren();
    this.looking.hide('The tokens appear, row by row. Choose one to see how it was chosen.');
    this.easel.choose(-1);
    this.next = 0;
    this.samples = Array.from({ length: samples }, (_, index) => {
      const sample = this.add(prompt);
      this.studio.draw(sample.id, { prompt, dials: { temperature, guidance, seed, index, given } });
      return sample;
    });
    this.say('Drawing “' + prompt + '” …' + (this.warning ? ' ' + this.warning : ''));
    this.show(this.samples[0]);
  }

  // A new sample with its small picture in the strip.
  add(prompt) {
    const { kit } = this;
    const sample = this.easel.sample(this.next++, prompt);
    const press = kit.button(this.strip, '', () => this.show(sample));
    press.append(sample.canvas);
    sample.press = press;
    sample.note = kit.el('span', {}, press, '…');
    sample.label = () => {
      const score = sample.score === null ? '' : ', CLIP similarity ' + sample.score.toFixed(3);
      press.setAttribute('aria-label', 'Sample ' + (sample.id + 1) + score);
    };
    sample.label();
    return sample;
  }

  show(sample) {
    this.shown = sample;
    for (const { press, id } of this.samples) {
      press?.setAttribute('aria-pressed', String(id === sample.id));
    }
    this.easel.show(sample);
    if (sample.id >= 0 && this.easel.chosen >= 0) {
      this.look(this.easel.chosen);
    }
  }

  look(place) {
    const { shown } = this;
    if (place < 0 || place >= shown.tokens.length) {
      return;
    }
    this.easel.choose(place);
    if (shown.id < 0) {
      const code = shown.tokens[place];
      this.looking.hide(
        'Code ' + code + '. Press Draw: of your own drawing it is shown how each code was chosen.',
      );
      return;
    }
    this.studio.tell(shown.id, { task: 'look', place });
  }

  // The chosen place gets another code, and what follows is drawn anew, as one sample more.
  branch(code) {
    const [from, place] = [this.shown, this.easel.chosen];
    if (code === from.tokens[place]) {
      return;
    }
    const sample = this.add(from.prompt);
    sample.tokens = from.tokens.slice(0, place);
    sample.sure = from.sure.slice(0, place);
    sample.copy(from, place);
    this.samples.push(sample);
    this.studio.branch(sample.id, from.id, { place, token: code });
    sample.take(place, code);
    this.state('drawing');
    this.show(sample);
  }

  stop() {
    for (const { id, done } of this.samples) {
      if (!done) {
        this.studio.tell(id, { task: 'stop' });
      }
    }
  }

  fail(message) {
    this.waiting = null;
    this.state(this.samples.length ? 'done' : 'still');
    this.say(message);
  }

  // What a worker says; see `worker.js`.
  hear(message) {
    const { says } = message;
    if (this.waiting && (says === this.waiting.says || says === 'error')) {
      const { resolve, reject } = this.waiting;
      this.waiting = null;
      (says === 'error' ? reject : resolve)(message);
      return;
    }
    const sample = this.samples.find(({ id }) => id === message.sample);
    if (says === 'error') {
      this.fail(message.message);
    } else if (sample) {
      this.hearOf(sample, message);
    }
  }

  hearOf(sample, { says, place, token, sure, pixels, score, chances, layers }) {
    const acts = {
      token: () => sample.take(place, token, sure),
      picture: () => sample.paint(pixels, 255),
      stopped: () => this.finish(sample, null),
      done: () => this.finish(sample, score),
      look: () => {
        if (sample === this.shown && place === this.easel.chosen) {
          this.looking.show({
            place,
            token: sample.tokens[place],
            chances,
            layers,
            words: this.words,
          });
          this.say(this.looking.title.textContent);
        }
      },
    };
    acts[says]();
    if (sample === this.shown) {
      this.easel.soon();
    }
  }

  finish(sample, score) {
    Object.assign(sample, { score, done: true });
    sample.note.textContent = score === null ? '–' : score.toFixed(3);
    sample.label();
    if (this.samples.every(({ done }) => done)) {
      this.ranked();
    }
  }

  // All are done: the best by CLIP first.
  ranked() {
    const better = (a, b) => (b.score ?? -1) - (a.score ?? -1) || a.id - b.id;
    const order = this.samples.toSorted(better);
    const focused = document.activeElement;
    this.strip.replaceChildren(...order.map(({ press }) => press));
    if (this.strip.contains(focused)) {
      focused.focus();
    }
    this.state('done');
    if (this.easel.chosen < 0) {
      this.show(order[0]);
      this.look(order[0].leastSure());
    }
    const ranks = this.told.ranks && order.length > 1;
    const first = ranks ? order.length + ' drawings, best first by CLIP.' : 'Drawn.';
    this.say(first + ' Choose a place in the picture.' + (this.warning ? ' ' + this.warning : ''));
  }
}

// Brings one box of the page to life; where that fails, its still picture stays.
export function bring(box) {
  try {
    box.dalle = new Box(box, WORKER);
  } catch (error) {
    box.querySelector('.live')?.remove();
    box.setAttribute('data-broken', String(error));
    console.error(error);
  }
}
