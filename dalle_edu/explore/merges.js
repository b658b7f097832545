// A caption's pieces after any number of merges. Pieces are strings of bytes, a character a byte.

// The pieces of one word after the first `count` merges: always the earliest merge that fits, until none does.
export function piecesOf(word, merges, count) {
  const rank = new Map(merges.slice(0, count).map(([a, b], i) => [a + '\n' + b, i]));
  const pieces = [...word];
  for (;;) {
    let best = -1;
    let first = Infinity;
    for (let i = 0; i + 1 < pieces.length; i++) {
      const at = rank.get(pieces[i] + '\n' + pieces[i + 1]);
      if (at !== undefined && at < first) {
        [best, first] = [i, at];
      }
    }
    if (best < 0) {
      return pieces;
    }
    pieces.splice(best, 2, pieces[best] + pieces[best + 1]);
  }
}

export function piecesOfCaption(words, merges, count) {
  return words.flatMap((word) => piecesOf(word, merges, count));
}

// The number of merges, beyond `count`, at which the caption's pieces change for the next time.
export function nextChange(words, merges, count) {
  const now = piecesOfCaption(words, merges, count).length;
  for (let more = count + 1; more <= merges.length; more++) {
    if (piecesOfCaption(words, merges, more).length < now) {
      return more;
    }
  }
  return merges.length;
}

// Bytes as text, where they are whole letters; else the bytes' numbers.
export function readable(piece) {
  const bytes = Uint8Array.from(piece, (letter) => letter.charCodeAt(0));
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes).replaceAll(' ', '·');
  } catch {
    return '‹' + [...bytes].join(' ') + '›';
  }
}

export function show(root, data, kit) {
  const state = { caption: 0, count: 0 };
  const words = () => data.words[state.caption];
  const controls = kit.el('div', {}, root);
  kit.choice(controls, {
    label: 'caption',
    options: data.captions,
    change: (value) => {
      state.caption = value;
      draw();
    },
  });
  const line = kit.el(
    'div',
    {
      class: 'pieces',
      style: 'display:flex;flex-wrap:wrap;gap:4px;margin:.6em 0;font:15px ui-monospace,monospace',
    },
    root,
  );
  const said = kit.voice(root);
  const middle = nextChange(data.words[0], data.merges, Math.floor(data.merges.length / 20));
  const range = kit.slider(controls, {
    label: 'merges',
    min: 0,
    max: data.merges.length,
    value: middle,
    change: (value) => {
      state.count = value;
      draw();
    },
  });
  const button = kit.button(controls, 'Next merge that changes it', () =>
    range.go(nextChange(words(), data.merges, state.count)),
  );
  kit.el(
    'p',
    { class: 'hint' },
    root,
    'A dot is a space. Framed: the piece that the last merge made.',
  );

  function draw() {
    const pieces = piecesOfCaption(words(), data.merges, state.count);
    const last = state.count ? data.merges[state.count - 1] : null;
    line.textContent = '';
    pieces.forEach((piece, i) => {
      const fresh = last && piece === last[0] + last[1];
      const ground = 'background:' + kit.colours[i % 2 ? 5 : 4] + ';color:#000;padding:.1em .3em;';
      const edge = 'border-radius:3px;border:3px solid ' + (fresh ? kit.colours[1] : 'transparent');
      kit.el('span', { style: ground + edge }, line, readable(piece));
    });
    const joined = last
      ? ' Merge ' +
        state.count +
        ' joined “' +
        readable(last[0]) +
        '” and “' +
        readable(last[1]) +
        '”.'
      : '';
    const letters = words().join('').length;
    said.say(
      letters + ' bytes in ' + pieces.length + ' pieces after ' + state.count + ' merges.' + joined,
    );
    button.disabled = state.count >= data.merges.length;
  }
}
