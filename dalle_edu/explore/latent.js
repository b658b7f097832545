// A point to drag through a plane of latent codes; its picture, and the picture whose code lies nearest.

// The latent number at step `index` of `steps` along an axis.
export function valueAt(index, axis, { low, high, steps }) {
  return low[axis] + (index / (steps - 1)) * (high[axis] - low[axis]);
}

// The step of the grid that is nearest to a share of the axis.
export function nearestStep(share, steps) {
  return Math.max(0, Math.min(steps - 1, Math.round(share * (steps - 1))));
}

export function show(root, data, kit) {
  const steps = data.steps;
  let [column, row] = data.at;
  const stage = kit.el('div', { class: 'row' }, root);
  const [plane, point] = makePlane(kit, stage, data);
  const side = kit.el('div', { class: 'row', style: 'margin:0' }, stage);
  const views = [
    view(kit, side, data, ['decoded from the point', data.decoded]),
    view(kit, side, data, ['picture with the nearest code', data.nearest]),
  ];
  const said = kit.voice(root);
  const hint = 'Drag the point, tap where it should go, or focus the plane and use the arrow keys.';
  kit.el('p', { class: 'hint' }, root, hint);

  function move(across, up) {
    column = kit.clamp(across, 0, steps - 1);
    row = kit.clamp(up, 0, steps - 1);
    point.style.left = (column / (steps - 1)) * 100 + '%';
    point.style.top = (1 - row / (steps - 1)) * 100 + '%';
    views.forEach((paint) => paint(column, row));
    const place = [valueAt(column, 0, data), valueAt(row, 1, data)].map((v) => v.toFixed(2));
    said.say('z = (' + place.join(', ') + ')');
  }

  function follow(event) {
    const box = plane.getBoundingClientRect();
    const across = nearestStep((event.clientX - box.left) / box.width, steps);
    move(across, nearestStep(1 - (event.clientY - box.top) / box.height, steps));
  }

  // A finger that moves upwards scrolls the page; sideways, and with a mouse, it drags.
  plane.style.touchAction = 'pan-y';
  plane.addEventListener('pointerdown', (event) => {
    plane.setPointerCapture(event.pointerId);
    plane.focus();
    if (event.pointerType === 'mouse') {
      follow(event);
    }
  });
  plane.addEventListener('pointermove', (event) => {
    if (plane.hasPointerCapture(event.pointerId)) {
      follow(event);
    }
  });
  plane.addEventListener('click', follow);
  kit.keys(plane, (key, event) => {
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    if (!(key in ways)) {
      return undefined;
    }
    const far = event.shiftKey ? 5 : 1;
    move(column + far * ways[key][0], row + far * ways[key][1]);
    return true;
  });
  move(column, row);
}

function makePlane(kit, stage, data) {
  const figure = kit.el('div', { style: 'width:300px;max-width:100%' }, stage);
  const plane = kit.el(
    'div',
    {
      tabindex: 0,
      role: 'application',
      'aria-label': 'Latent plane. Arrow keys move the point; with shift, five steps at once.',
      style:
        'position:relative;aspect-ratio:1;cursor:crosshair;background:#fff;border:1px solid var(--line)',
    },
    figure,
  );
  const dots = { src: data.dots, alt: 'The codes of the pictures as dots', draggable: 'false' };
  kit.el('img', { ...dots, style: 'width:100%;height:100%;pointer-events:none' }, plane);
  const point = kit.el(
    'div',
    {
      style:
        'position:absolute;width:18px;height:18px;margin:-12px 0 0 -12px;box-sizing:content-box;' +
        'border-radius:50%;border:3px solid #000;pointer-events:none;' +
        'box-shadow:0 0 0 2px #fff,inset 0 0 0 2px #fff',
    },
    plane,
  );
  const ends = kit.el(
    'div',
    { class: 'hint', style: 'display:flex;justify-content:space-between' },
    figure,
  );
  [String(data.low[0]), 'first latent number →', String(data.high[0])].forEach((text) =>
    kit.el('span', {}, ends, text),
  );
  const upwards = 'upwards: second latent number, ' + data.low[1] + ' to ' + data.high[1];
  kit.el('div', { class: 'hint', style: 'margin:0' }, figure, upwards);
  const key = kit.el('div', { class: 'hint row', style: 'gap:.1em .9em' }, figure);
  for (const { name, colour, marker } of data.kinds) {
    const entry = kit.el('span', { style: 'white-space:nowrap' }, key);
    kit.el('span', { style: 'color:' + colour, 'aria-hidden': 'true' }, entry, marker + ' ');
    kit.el('span', {}, entry, name);
  }
  return [plane, point];
}

// A canvas that shows one frame of a sheet of steps by steps frames, the first row at the top.
function view(kit, parent, { steps, size }, [label, address]) {
  const box = kit.el('div', { style: 'width:128px' }, parent);
  const shape = { width: size, height: size, role: 'img', 'aria-label': label, class: 'pixels' };
  const look =
    'width:128px;height:128px;box-sizing:border-box;border:1px solid var(--line);background:#fff';
  const canvas = kit.el('canvas', { ...shape, style: look }, box);
  kit.el('div', {}, box, label);
  const sheet = new Image();
  let at = [0, 0];
  const paint = () => {
    if (sheet.complete && sheet.naturalWidth) {
      const [x, y] = [at[0] * size, (steps - 1 - at[1]) * size];
      canvas.getContext('2d').drawImage(sheet, x, y, size, size, 0, 0, size, size);
    }
  };
  sheet.addEventListener('load', paint);
  sheet.src = address;
  return (column, row) => {
    at = [column, row];
    paint();
  };
}
