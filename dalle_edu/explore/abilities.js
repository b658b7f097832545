// What was asked and what was drawn, with a judge's word on every property of every picture.

const SIZE = 64;

export function titleOf(index) {
  return ['real', 'dVAE'][index] || 'no. ' + (index - 1);
}

// How many of the drawings, which follow the real picture and its reconstruction, are right in everything.
export function rightDrawings(all) {
  return all.slice(2).reduce((sum, right) => sum + right, 0);
}

// The first caption about which the judge has something to say: some drawings right, some wrong.
export function telling(cases) {
  const mixed = cases.findIndex((one) => {
    const right = rightDrawings(one.all);
    return right > 0 && right < one.all.length - 2;
  });
  return Math.max(0, mixed);
}

export function show(root, data, kit) {
  let mine = [];
  const controls = kit.el('div', {}, root);
  const start = data.cases[telling(data.cases)];
  kit.choice(controls, {
    label: 'Family',
    options: data.families,
    value: start.family,
    change: (family) => {
      mine = data.cases.filter((one) => one.family === family);
      pick.textContent = '';
      mine.forEach((one, i) => kit.el('option', { value: i }, pick, one.caption));
      pick.value = telling(mine);
      draw();
    },
  });
  const label = kit.el('label', { style: 'max-width:100%' }, controls);
  kit.el('span', {}, label, 'Caption');
  const pick = kit.el('select', { style: 'max-width:100%' }, label);
  pick.addEventListener('change', draw);
  const said = kit.voice(root);
  const cards = kit.el(
    'ul',
    {
      class: 'row',
      style: 'list-style:none;padding:0;gap:.7em;font-size:13px;line-height:1.3',
    },
    root,
  );
  kit.el(
    'p',
    { class: 'hint' },
    root,
    'Drawings stand in CLIP’s order; the judge does not know CLIP.',
  );

  function card(one, index) {
    const item = kit.el('li', { style: 'margin:0' }, cards);
    const frame = 'border:1px solid var(--line);box-sizing:content-box';
    const name = titleOf(index);
    const face = kit.el(
      'div',
      { class: 'pixels', role: 'img', 'aria-label': name, style: frame },
      item,
    );
    kit.sprite(face, one.sheet, index, data.count, 1, SIZE);
    kit.el('strong', { 'aria-hidden': 'true' }, item, name);
    one.properties.forEach((property, p) => {
      verdict(item, property.replaceAll('_', ' '), one.said[index][p]);
    });
    verdict(item, 'everything', one.all[index]);
  }

  function verdict(item, property, right) {
    const line = kit.el('div', { style: right ? '' : 'font-weight:700' }, item);
    kit.el('span', { 'aria-hidden': 'true' }, line, right ? '✓ ' : '✗ ');
    kit.el('span', {}, line, property);
    line.title = property + ': ' + (right ? 'right' : 'wrong');
  }

  function draw() {
    const one = mine[Number(pick.value)];
    cards.textContent = '';
    one.all.forEach((_, index) => card(one, index));
    const first = one.all[2] ? 'right.' : 'wrong.';
    const sum =
      rightDrawings(one.all) + ' of ' + (data.count - 2) + ' drawings are right in everything; ';
    said.say('“' + one.caption + '”: ' + sum + 'no. 1, CLIP’s choice, is ' + first);
  }
}
