// The worker: a thread of its own, so that the page stays free. It holds a model and the drawings it made, and is told
// what to do in messages {task, ...}; what it answers is {says, ...}.
import { DrawingModel } from './drawing.js';

let model = null;
const drawings = new Map();
const stopped = new Set();

// Other messages, to stop for one, are heard between the rows.
const breathe = () =>
  new Promise((resolve) => {
    setTimeout(resolve, 0);
  });

// Draws row after row until the drawing is finished, or stopped.
async function finish(sample, drawing) {
  drawings.set(sample, drawing);
  const [rows, columns] = model.config.dalle.grid;
  do {
    const place = drawing.tokens.length;
    postMessage({ says: 'token', sample, place, ...model.advance(drawing) });
  } while (drawing.tokens.length % columns);
  const row = drawing.tokens.length / columns;
  if (row === rows) {
    const pixels = model.picture(drawing);
    postMessage({ says: 'picture', sample, pixels });
    postMessage({ says: 'done', sample, score: model.score(pixels, drawing.prompt) });
    return;
  }
  // The decoder takes as long as thirty tokens: it is asked in the middle and at the end.
  if (row === Math.floor(rows / 2)) {
    postMessage({ says: 'picture', sample, pixels: model.picture(drawing) });
  }
  await breathe();
  if (stopped.delete(sample)) {
    postMessage({ says: 'stopped', sample });
    return;
  }
  await finish(sample, drawing);
}

const tasks = {
  open({ buffer }) {
    model = new DrawingModel(buffer);
    postMessage({ says: 'open' });
  },
  check({ prompt }) {
    model.begin(prompt, { temperature: 1, guidance: 1, seed: 0, index: 0 });
    const words = model.tokenizer.encode(prompt).map((token) => model.tokenizer.written(token));
    postMessage({ says: 'words', words, warning: model.warning(prompt) });
  },
  encode({ pixels }) {
    postMessage({ says: 'tokens', tokens: model.dvae.encode(pixels) });
  },
  draw({ sample, prompt, dials }) {
    return finish(sample, model.begin(prompt, dials));
  },
  branch({ sample, from, place, token }) {
    const drawing = model.branch(drawings.get(from), place, token);
    return finish(sample, drawing);
  },
  look({ sample, place }) {
    postMessage({ says: 'look', sample, place, ...model.lookInto(drawings.get(sample), place) });
  },
  stop({ sample }) {
    stopped.add(sample);
  },
  forget() {
    drawings.clear();
    stopped.clear();
  },
};

// One task after the other; "stop" and "look" do not wait for a drawing to end, but are heard between its rows.
let last = Promise.resolve();

globalThis.addEventListener('message', ({ data }) => {
  const act = async () => {
    try {
      await tasks[data.task](data);
    } catch (error) {
      postMessage({ says: 'error', sample: data.sample, message: error.message });
    }
  };
  if (data.task === 'stop' || data.task === 'look') {
    act();
  } else {
    last = last.then(act);
  }
});
