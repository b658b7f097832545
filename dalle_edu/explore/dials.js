// Temperature, top-k and top-p: what becomes of one distribution, and a hundred draws from it.

const SHOWN = 12;
const STEPS = [0, 1, 2, 3, 5, 8, 12, 20, 32, 64, 128, 256];
const SIZE = 192;

// The dials in the order of Python's `adjust_logits`: temperature, then top-k, then top-p of what is left.
// Answers with the codes from the most probable down, each code's share, and how many are left.
export function turn(logits, temperature, topK, topP) {
  const cooled = logits.map((logit) => logit / temperature);
  const order = cooled.map((_, code) => code);
  order.sort((a, b) => cooled[b] - cooled[a] || a - b);
  const kept = topK ? order.slice(0, topK) : order;
  const most = cooled[order[0]];
  const weights = kept.map((code) => Math.exp(cooled[code] - most));
  const sum = weights.reduce((a, b) => a + b, 0);
  const share = Array.from({ length: logits.length }, () => 0);
  let held = 0;
  let left = 0;
  for (; left < kept.length; left++) {
    if (held >= topP && topP < 1) {
      break;
    }
    share[kept[left]] = weights[left] / sum;
    held += weights[left] / sum;
  }
  return { order, share: share.map((value) => value / held), left };
}

export function entropy(shares) {
  return shares.reduce((bits, share) => (share > 0 ? bits - share * Math.log2(share) : bits), 0);
}

// The code that a uniform number in [0, 1) falls on.
export function drawn({ order, share }, uniform) {
  let rest = uniform;
  let last = order[0];
  for (const code of order) {
    if (share[code] === 0) {
      break;
    }
    last = code;
    rest -= share[code];
    if (rest < 0) {
      break;
    }
  }
  return last;
}

export function show(root, data, kit) {
  const width = data.grid[1];
  const codes = data.logits[0].length;
  const dials = { temperature: 1, topK: 0, topP: 1 };
  let place = data.start;
  let tally = new Map();
  let draws = 0;
  const row = kit.el('div', { class: 'row' }, root);
  const frame = 'position:relative;box-sizing:content-box;border:1px solid var(--line);';
  const picture = kit.el(
    'div',
    { style: frame + 'width:' + SIZE + 'px;height:' + SIZE + 'px' },
    row,
  );
  const size = {
    width: SIZE,
    height: SIZE,
    style: 'display:block;max-width:none',
    class: 'pixels',
  };
  const image = kit.el('img', { ...size, alt: 'the tokens before this one, decoded' }, picture);
  const side = SIZE / width + 4;
  const mark = kit.el(
    'div',
    {
      style:
        'position:absolute;box-sizing:border-box;border:2px solid #D55E00;outline:1px solid #fff;' +
        'width:' +
        side +
        'px;height:' +
        side +
        'px',
    },
    picture,
  );
  const bars = kit.bars(kit.el('div', { class: 'grow' }, row), Math.min(SHOWN, codes));
  const said = kit.voice(root);
  const controls = kit.el('div', {}, root);
  const now = () => {
    const logits = data.logits[place].map((logit) => logit / 100);
    return turn(logits, dials.temperature, dials.topK, dials.topP);
  };
  const paint = (code) => (swatch) =>
    kit.sprite(swatch, data.codes, code, data.columns, Math.ceil(codes / data.columns), 18);

  function line(turned, code, index) {
    const share = turned.share[code];
    const often = draws ? ' · ' + (tally.get(code) || 0) + ' of ' + draws : '';
    const note = (share > 0 ? (100 * share).toFixed(1) + ' %' : 'left out') + often;
    bars.fill(index, { name: String(code), share, note, paint: paint(code) });
  }

  function draw() {
    const turned = now();
    image.src = data.frames[place];
    mark.style.left = ((data.places[place] % width) * SIZE) / width - 2 + 'px';
    mark.style.top = (Math.floor(data.places[place] / width) * SIZE) / width - 2 + 'px';
    turned.order.slice(0, SHOWN).forEach((code, index) => line(turned, code, index));
    const most = (100 * turned.share[turned.order[0]]).toFixed(1);
    const tail = draws ? '; ' + tally.size + ' different codes drawn.' : '.';
    const bits = entropy(turned.share).toFixed(2);
    const kept = 'Kept: ' + turned.left + ' of ' + codes + ' codes. ';
    said.say(kept + 'The most probable has ' + most + ' %. Entropy: ' + bits + ' bits' + tail);
  }

  function changed() {
    tally = new Map();
    draws = 0;
    draw();
  }

  addDials(kit, controls, data, {
    place: (value) => {
      place = value;
      changed();
    },
    turn: (name, value) => {
      dials[name] = value;
      changed();
    },
  });
  kit.button(controls, 'Draw 100 times', () => {
    const turned = now();
    for (let n = 0; n < 100; n++) {
      const code = drawn(turned, Math.random());
      tally.set(code, (tally.get(code) || 0) + 1);
    }
    draws += 100;
    draw();
  });
}

function addDials(kit, controls, data, told) {
  const width = data.grid[1];
  if (data.places.length > 1) {
    kit.choice(controls, {
      label: 'Next token at',
      options: data.places.map(
        (at) => 'row ' + Math.floor(at / width) + ', column ' + (at % width),
      ),
      value: data.start,
      change: told.place,
    });
  }
  const hundredths = (value) => (value / 100).toFixed(2);
  kit.slider(controls, {
    label: 'Temperature',
    min: 5,
    max: 200,
    step: 5,
    value: 100,
    format: hundredths,
    change: (value) => told.turn('temperature', value / 100),
  });
  kit.slider(controls, {
    label: 'top-k',
    min: 0,
    max: STEPS.length - 1,
    value: 0,
    format: (value) => (value ? String(STEPS[value]) : 'all'),
    change: (value) => told.turn('topK', STEPS[value]),
  });
  kit.slider(controls, {
    label: 'top-p',
    min: 5,
    max: 100,
    step: 5,
    value: 100,
    format: hundredths,
    change: (value) => told.turn('topP', value / 100),
  });
}
