// The sentence, the button, and the dials.

// acts: {draw, stop}. Gives {dials(), busy(is), progress(share)}.
export function controls(parent, kit, told, acts) {
  const form = kit.el('form', { class: 'ask' }, parent);
  const label = kit.el('label', { class: 'prompt' }, form);
  kit.el('span', {}, label, 'What to draw');
  const prompt = kit.el('input', { type: 'text', autocomplete: 'off', spellcheck: 'false' }, label);
  prompt.value = told.example.prompt;
  const draw = kit.el('button', { type: 'submit', class: 'go' }, form, 'Draw');
  const stop = kit.button(form, 'Stop', acts.stop);
  const bar = kit.el('progress', { max: 1, value: 0, 'aria-label': 'Loading' }, form);
  bar.hidden = true;
  let working = false;
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (!working) {
      acts.draw();
    }
  });
  const dials = moreDials(parent, kit, told);
  return {
    dials: () => ({ prompt: prompt.value, ...dials }),
    busy(is) {
      // Not `disabled`, which would take the focus away.
      working = is;
      draw.setAttribute('aria-disabled', String(is));
      draw.classList.toggle('busy', is);
      if (!is && document.activeElement === stop) {
        // The button goes, and a reader on the keyboard should not have to begin at the top of the page.
        draw.focus();
      }
      stop.hidden = !is;
      bar.hidden = true;
    },
    progress(share) {
      bar.hidden = false;
      bar.value = share;
    },
  };
}

function moreDials(parent, kit, told) {
  const dials = { pixels: null };
  const more = kit.el('details', { class: 'dials' }, parent);
  kit.el('summary', {}, more, 'Dials, and a picture of your own to begin with');
  const set = (name) => (value) => {
    dials[name] = value;
  };
  const counts = [1, 2, 4, 8, 16];
  kit.choice(more, {
    label: 'samples',
    options: counts,
    value: 2,
    change: (i) => set('samples')(counts[i]),
  });
  kit.slider(more, {
    label: 'temperature',
    min: 0,
    max: 1.5,
    step: 0.05,
    value: told.dials.temperature,
    format: (value) => (value ? value.toFixed(2) : '0 (the likeliest)'),
    change: set('temperature'),
  });
  kit.slider(more, {
    label: 'guidance',
    min: 0,
    max: 4,
    step: 0.25,
    value: told.dials.guidance,
    format: (value) => (value === 1 ? '1 (off)' : value.toFixed(2)),
    change: set('guidance'),
  });
  const seedLabel = kit.el('label', {}, more);
  kit.el('span', {}, seedLabel, 'seed');
  const seed = kit.el('input', { type: 'number', min: 0, max: 2 ** 31 - 1, value: 0 }, seedLabel);
  Object.defineProperty(dials, 'seed', {
    enumerable: true,
    get: () => Math.trunc(Number(seed.value)) || 0,
  });
  const hint =
    'The same seed draws the same again on this page. Python draws other pictures from it, because its random ' +
    'numbers are others; at temperature 0 both draw nearly the same: the page has the model in 8 bits.';
  kit.el('p', { class: 'hint' }, more, hint);
  if (!told.guidable) {
    kit.el(
      'p',
      { class: 'hint' },
      more,
      'This model never saw a picture without its caption: guidance helps it little.',
    );
  }
  beginWith(more, kit, told, dials);
  return dials;
}

// A picture of the reader's own, and how many rows of it to keep. It never leaves the page.
function beginWith(parent, kit, told, dials) {
  const label = kit.el('label', {}, parent);
  kit.el('span', {}, label, 'begin with a picture');
  const file = kit.el('input', { type: 'file', accept: 'image/*' }, label);
  const rows = kit.slider(parent, {
    label: 'rows to keep',
    min: 0,
    max: told.grid[0] - 1,
    value: Math.floor(told.grid[0] / 2),
    change: (value) => {
      dials.rows = value;
    },
  });
  rows.parentElement.hidden = true;
  const wrong = kit.el('p', { class: 'hint', role: 'alert' }, parent);
  file.addEventListener('change', async () => {
    dials.pixels = null;
    wrong.textContent = '';
    try {
      dials.pixels = file.files.length ? await squareOf(file.files[0], told.size) : null;
    } catch {
      wrong.textContent = 'This file is no picture that the browser can read.';
    }
    rows.parentElement.hidden = !dials.pixels;
  });
}

// The middle square of a picture, on white, as (size, size, 3) from 0 to 1.
async function squareOf(file, size) {
  const picture = await createImageBitmap(file);
  const canvas = document.createElement('canvas');
  canvas.width = size;
  canvas.height = size;
  const pen = canvas.getContext('2d');
  pen.fillStyle = '#fff';
  pen.fillRect(0, 0, size, size);
  pen.imageSmoothingQuality = 'high';
  const side = Math.min(picture.width, picture.height);
  const [x, y] = [(picture.width - side) / 2, (picture.height - side) / 2];
  pen.drawImage(picture, x, y, side, side, 0, 0, size, size);
  const { data } = pen.getImageData(0, 0, size, size);
  return Float32Array.from(
    { length: size * size * 3 },
    (_, i) => data[4 * Math.floor(i / 3) + (i % 3)] / 255,
  );
}
