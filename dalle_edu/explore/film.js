// A picture appearing token by token, with the codes that the model held most probable at each place.

const SIZE = 256;
const SWATCH = 22;

// A hesitation: a place where even the most probable code has less than half of the probability.
export function hesitates(shares) {
  return shares[0] < 500;
}

// The place at which the film opens: where the model was least sure, once a quarter of the picture is there to see.
export function leastSure(share) {
  const first = Math.floor(share.length / 4);
  return share.reduce(
    (best, shares, place) => (place > first && shares[0] < share[best][0] ? place : best),
    first,
  );
}

export function show(root, data, kit) {
  const count = data.tokens.length;
  const width = data.grid[1];
  const step = SIZE / width;
  const row = kit.el('div', { class: 'row' }, root);
  const box = 'position:relative;box-sizing:content-box;border:1px solid var(--line);';
  const frame = kit.el('div', { style: box + sized(SIZE, SIZE) }, row);
  const film = kit.el(
    'div',
    { class: 'pixels', role: 'img', 'aria-label': 'the picture so far', 'data-part': 'frame' },
    frame,
  );
  const mark = kit.el('div', { style: MARK + sized(step + 4, step + 4) }, frame);
  const side = kit.el('div', { class: 'grow' }, row);
  const said = kit.voice(side);
  const bars = kit.bars(side, data.top[0].length + 1);
  bars.list.dataset.part = 'distribution';
  const rows = Math.ceil((count + 1) / data.columns);
  const codes = Object.keys(data.places).length;
  const paint = (code) => (swatch) =>
    kit.sprite(swatch, data.codes, data.places[code], codes, 1, SWATCH);

  function candidates(place) {
    const drawn = data.tokens[place];
    data.top[place].forEach((code, i) => {
      const share = data.share[place][i] / 1000;
      const note = (100 * share).toFixed(1) + ' %' + (code === drawn ? ' ← drawn' : '');
      bars.fill(i, { name: String(code), share, note, paint: paint(code) });
    });
    const last = data.top[place].length;
    if (data.top[place].includes(drawn)) {
      bars.hide(last);
      return;
    }
    const share = data.drawn[place] / 1000;
    const note = (100 * share).toFixed(1) + ' % ← drawn';
    bars.fill(last, { name: String(drawn), share, note, paint: paint(drawn) });
  }

  function draw(place) {
    kit.sprite(film, data.frames, place, data.columns, rows, SIZE);
    const done = place >= count;
    mark.hidden = done;
    bars.list.hidden = done;
    if (done) {
      said.say('All ' + count + ' tokens are drawn.');
      return;
    }
    mark.style.left = (place % width) * step - 2 + 'px';
    mark.style.top = Math.floor(place / width) * step - 2 + 'px';
    const where = 'row ' + Math.floor(place / width) + ', column ' + (place % width);
    said.say('Next: ' + where + '. The codes that the model holds most probable:');
    candidates(place);
  }

  const controls = kit.el('div', {}, root);
  const range = kit.slider(controls, {
    label: 'Tokens drawn',
    min: 0,
    max: count,
    value: leastSure(data.share),
    change: draw,
    format: (value) => value + ' of ' + count,
  });
  kit.film(controls, range, said, 60);
  const unsure = (place) => place < count && hesitates(data.share[place]);
  const next = kit.button(controls, 'Next hesitation', () =>
    range.go(kit.following(Number(range.value), count + 1, unsure)),
  );
  next.hidden = !data.share.some(hesitates);
  const hint =
    'It opens where the model was least sure. A hesitation: no code has half of the probability.';
  kit.el('p', { class: 'hint' }, root, hint);
}

const MARK =
  'position:absolute;box-sizing:border-box;border:2px solid #D55E00;outline:1px solid #fff;';

function sized(width, height) {
  return 'width:' + width + 'px;height:' + height + 'px';
}
