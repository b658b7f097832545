// What `page.py` measures in Node: milliseconds of a token, of a decoded picture and of CLIP's score.
import { readFileSync } from 'node:fs';
import { DrawingModel } from '../dalle_edu/page/js/drawing.js';

const file = readFileSync(process.argv[2]);
const model = new DrawingModel(file.buffer.slice(file.byteOffset, file.byteOffset + file.length));

// Processor milliseconds, which other programs do not lengthen.
function milliseconds(work) {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

function measure(guidance) {
  const drawing = model.begin('a red apple', { temperature: 1, guidance, seed: 0, index: 0 });
  const tokens = milliseconds(() => {
    while (!model.finished(drawing)) {
      model.advance(drawing);
    }
  });
  return { drawing, token: tokens / drawing.tokens.length };
}

measure(1); // the compiler warms up
const { drawing, token } = measure(1);
let pixels = null;
const picture = milliseconds(() => {
  pixels = model.picture(drawing);
});
const score = milliseconds(() => model.score(pixels, drawing.prompt));
console.log(JSON.stringify({ token, guided: measure(2).token, picture, score }));
