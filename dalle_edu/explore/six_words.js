// One query against all keys: dot products, scores, weights, and the mixture of the values.

export function dot(a, b) {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}

// What one word reads. A word that may not be read has the score -Infinity and the weight 0.
export function read({ queries, keys, values }, word, { causal, sharpness }) {
  const size = queries[0].length;
  const scores = keys.map((key, other) =>
    causal && other > word ? -Infinity : (sharpness * dot(queries[word], key)) / Math.sqrt(size),
  );
  const most = Math.max(...scores);
  const raised = scores.map((score) => Math.exp(score - most));
  const sum = raised.reduce((a, b) => a + b, 0);
  const weights = raised.map((value) => value / sum);
  const mixture = values[0].map((_, i) =>
    dot(
      weights,
      values.map((value) => value[i]),
    ),
  );
  return { scores, weights, mixture };
}

// The columns of the table; terms of the text light them up, and the query, and the mixture.
const PARTS = ['keys', 'products', 'scores', 'weights', 'values'];

export function show(root, data, kit) {
  const count = data.words.length;
  const state = { word: count - 1, causal: data.causal, sharpness: 1 };
  const shown = (vector) => '(' + vector.map((value) => value.toFixed(1)).join(', ') + ')';
  const line = kit.el(
    'div',
    {
      tabindex: 0,
      role: 'application',
      'aria-label': 'The words. Left and right arrow choose the one that reads.',
      style: 'display:flex;flex-wrap:wrap;gap:.4em;padding:.3em',
    },
    root,
  );
  const boxes = data.words.map((word, i) => {
    const box = kit.el(
      'span',
      { style: 'padding:.2em .5em;border-radius:4px;cursor:pointer' },
      line,
      word,
    );
    kit.point(box, () => choose(i));
    return box;
  });
  const wide = kit.el('div', { style: 'overflow-x:auto', tabindex: 0, role: 'region' }, root);
  wide.setAttribute('aria-label', 'Keys, scores, weights and values');
  const table = kit.el('table', { style: 'border-collapse:collapse;font-size:14px' }, wide);
  const head = kit.el('tr', {}, table);
  ['word', 'its key', 'query · key', 'score', 'weight', 'its value'].forEach((title) =>
    kit.el('th', { scope: 'col', style: 'text-align:left;padding:0 .8em .2em 0' }, head, title),
  );
  const rows = data.words.map((word) => {
    const row = kit.el('tr', {}, table);
    kit.el(
      'th',
      { scope: 'row', style: 'text-align:left;font-weight:400;padding-right:.8em' },
      row,
      word,
    );
    const style = 'padding-right:.8em;white-space:nowrap;font-variant-numeric:tabular-nums';
    return PARTS.map((part) => kit.el('td', { style, 'data-part': part }, row));
  });
  const said = kit.voice(root);
  said.dataset.part = 'mixture';
  const controls = kit.el('div', {}, root);

  function draw() {
    const { scores, weights, mixture } = read(data, state.word, state);
    boxes.forEach((box, i) => {
      const dark = weights[i] > 0.55 ? '#fff' : '#000';
      const ink =
        i === state.word ? 'outline:3px solid #D55E00;' : 'outline:1px solid var(--line);';
      box.dataset.part = i === state.word ? 'query' : '';
      box.style.cssText += ';' + ink + 'color:' + dark + ';background:' + blue(weights[i]);
    });
    rows.forEach((cells, i) => {
      const barred = scores[i] === -Infinity;
      cells[0].textContent = shown(data.keys[i]);
      cells[1].textContent = barred
        ? 'may not read'
        : dot(data.queries[state.word], data.keys[i]).toFixed(2);
      cells[2].textContent = barred ? '−∞' : scores[i].toFixed(2);
      cells[3].textContent = weights[i].toFixed(2);
      cells[3].style.fontWeight = weights[i] === Math.max(...weights) ? '700' : '400';
      cells[4].textContent = shown(data.values[i]);
    });
    const best = data.words[weights.indexOf(Math.max(...weights))];
    said.say(
      '“' +
        data.words[state.word] +
        '”, query ' +
        shown(data.queries[state.word]) +
        ', reads “' +
        best +
        '” most (' +
        Math.max(...weights).toFixed(2) +
        '). The weighted sum of the values: ' +
        '(' +
        mixture.map((value) => value.toFixed(2)).join(', ') +
        ').',
    );
  }

  function choose(word) {
    state.word = word;
    draw();
  }
  kit.keys(line, (key) => {
    const next = kit.step(key, state.word, 1, count);
    if (next !== undefined) {
      choose(next);
    }
    return next;
  });
  kit.tick(controls, {
    label: 'no word reads what comes after it',
    value: data.causal,
    change: (on) => {
      state.causal = on;
      draw();
    },
  });
  kit.slider(controls, {
    label: 'scores times',
    min: 0,
    max: 6,
    step: 0.5,
    value: 1,
    change: (value) => {
      state.sharpness = value;
      draw();
    },
  });
  kit.el(
    'p',
    { class: 'hint' },
    root,
    'Score: query · key divided by the root of their length. At 0 times, all words are read alike.',
  );
}

export function blue(weight) {
  return (
    'rgb(' +
    [255 - 247 * weight, 255 - 170 * weight, 255 - 130 * weight].map(Math.round).join(',') +
    ')'
  );
}
