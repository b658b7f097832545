// A codebook as a sheet of small pictures, and pictures in which the places of the chosen code are framed.

const UNIT = 24;

// How often, and where, a code stands in grids of tokens: a list of [picture, row, column].
export function placesOf(code, tokens) {
  const found = [];
  tokens.forEach((grid, picture) =>
    grid.forEach((line, row) =>
      line.forEach((token, column) => token === code && found.push([picture, row, column])),
    ),
  );
  return found;
}

// Which of `count` squares lies at a share of the board, which has a margin of 2 around them.
export function squareAt(share, count) {
  return Math.floor((share * (count * UNIT + 4) - 2) / UNIT);
}

// A picture of `across` by `down` squares that can be pointed at and walked over.
function board(kit, parent, { address, across, down, width, label, choose }) {
  const [wide, high] = [across * UNIT, down * UNIT];
  const svg = kit.el(
    'svg',
    {
      viewBox: '-2 -2 ' + (wide + 4) + ' ' + (high + 4),
      width,
      tabindex: 0,
      role: 'application',
      'aria-label': label,
      style: 'max-width:100%;cursor:pointer',
    },
    parent,
  );
  const look = { preserveAspectRatio: 'none', class: 'pixels' };
  kit.el('image', { href: address, width: wide, height: high, ...look }, svg);
  let at = 0;
  const go = (index) => {
    at = index;
    choose(index);
  };
  // A click, not hovering: what is chosen should stay while the hand moves to the neighbours below.
  svg.style.touchAction = 'pan-y';
  svg.addEventListener('click', (event) => {
    const box = svg.getBoundingClientRect();
    const column = squareAt((event.clientX - box.left) / box.width, across);
    const row = squareAt((event.clientY - box.top) / box.height, down);
    if (column >= 0 && column < across && row >= 0 && row < down) {
      go(row * across + column);
    }
  });
  kit.keys(svg, (key) => {
    const next = kit.step(key, at, across, across * down);
    if (next !== undefined) {
      go(next);
    }
    return next;
  });
  svg.stand = (index) => {
    at = index;
  };
  return svg;
}

function frame(kit, svg, column, row) {
  for (const [stroke, width] of [
    ['#fff', 5],
    ['#D55E00', 3],
  ]) {
    const place = { x: column * UNIT, y: row * UNIT, width: UNIT, height: UNIT, fill: 'none' };
    kit.el('rect', { ...place, stroke, 'stroke-width': width, class: 'mark' }, svg);
  }
}

export function show(root, data, kit) {
  const count = data.usage.length;
  const columns = data.columns;
  const rows = Math.ceil(count / columns);
  const placeOf = new Map(data.order.map((code, place) => [code, place]));
  const wide = kit.el('div', { class: 'row' }, root);
  const left = kit.el('div', {}, wide);
  const right = kit.el('div', { style: 'flex:1 1 10em' }, wide);
  kit.el('div', {}, left, data.says);
  const gallery = board(kit, left, {
    address: data.gallery,
    across: columns,
    down: rows,
    width: 330,
    label: 'the codes; arrow keys choose one',
    choose: (place) => choose(data.order[Math.min(count - 1, place)]),
  });
  kit.el('div', {}, right, 'pictures: choose a place');
  const pictures = data.pictures.map((address, number) => {
    const grid = data.tokens[number];
    return board(kit, right, {
      address,
      across: grid[0].length,
      down: grid.length,
      width: 150,
      label: 'picture ' + (number + 1) + '; choose a position',
      choose: (place) => choose(grid.flat()[place]),
    });
  });
  const said = kit.voice(root);
  const about = data.near ? 'the chosen code, then its nearest in the codebook' : 'the chosen code';
  kit.el('div', {}, root, about);
  const near = kit.el('div', { style: 'display:flex;gap:4px;flex-wrap:wrap' }, root);
  // The buttons stay, so that the one that was pressed keeps the focus.
  const tiles = Array.from({ length: data.near ? data.near[0].length : 1 }, () => {
    const tile = kit.button(near, '', () => choose(tile.code));
    tile.style.padding = '2px';
    tile.face = kit.el('span', { class: 'pixels', style: 'display:block' }, tile);
    return tile;
  });

  function choose(code) {
    const place = placeOf.get(code);
    root.querySelectorAll('.mark').forEach((mark) => mark.remove());
    frame(kit, gallery, place % columns, Math.floor(place / columns));
    gallery.stand(place);
    const found = placesOf(code, data.tokens);
    found.forEach(([number, row, column]) => frame(kit, pictures[number], column, row));
    const used = 'code ' + code + ': ' + data.usage[code] + ' of ' + data.total + ' tokens; ';
    said.say(used + found.length + ' times in these pictures (framed)');
    (data.near ? data.near[place] : [code]).forEach((neighbour, index) => {
      const tile = tiles[index];
      tile.code = neighbour;
      tile.setAttribute('aria-label', 'code ' + neighbour);
      kit.sprite(tile.face, data.gallery, placeOf.get(neighbour), columns, rows, 34);
    });
  }
  choose(data.start);
}
