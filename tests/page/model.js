// The model whose weights Python wrote for this run, and a drawing by it.
import { readFileSync } from 'node:fs';
import { DrawingModel } from '../../dalle_edu/page/js/drawing.js';
import { cases } from '../explore/cases.js';

const file = readFileSync(cases.weights);
export const model = new DrawingModel(
  file.buffer.slice(file.byteOffset, file.byteOffset + file.length),
);
export const greedy = { temperature: 0, guidance: 1, seed: 0, index: 0 };

export function drawn(prompt, dials = greedy, told = () => {}) {
  const drawing = model.begin(prompt, dials);
  while (!model.finished(drawing)) {
    told(drawing);
    model.advance(drawing);
  }
  return drawing;
}
