// Races of logits plus Gumbel noise: who wins this one, who has won so far, and the relaxed draw.

export function race(logits, noise, temperature) {
  const times = logits.map((logit, k) => logit + noise[k]);
  const winner = times.reduce((best, time, k) => (time > times[best] ? k : best), 0);
  const weights = times.map((time) => Math.exp((time - times[winner]) / temperature));
  const sum = weights.reduce((a, b) => a + b, 0);
  return { times, winner, shares: weights.map((weight) => weight / sum) };
}

// How often each category won the first `count` races.
export function tally(logits, noises, count) {
  const wins = logits.map(() => 0);
  for (const noise of noises.slice(0, count)) {
    wins[race(logits, noise, 1).winner] += 1;
  }
  return wins;
}

export function show(root, data, kit) {
  const count = data.logits.length;
  const state = { run: 1, temperature: data.temperature };
  const probabilities = kit.softmax(data.logits);
  const controls = kit.el('div', {}, root);
  const row = kit.el('div', { class: 'row' }, root);
  const column = (title) => {
    const box = kit.el('div', { class: 'grow', style: 'flex-basis:12em' }, row);
    kit.el('div', {}, box, title);
    return kit.bars(box, count);
  };
  const current = column('this race: logit + noise');
  const soft = column('its relaxed draw');
  const won = column('won so far, and its probability');
  const said = kit.voice(root);
  const all = [...data.logits, ...data.noise.flat()];
  const spread = kit.scale({ low: Math.min(...all) - 1, high: Math.max(...all) + 1 }, 0, 1);

  function draw() {
    const { times, winner, shares } = race(
      data.logits,
      data.noise[state.run - 1],
      state.temperature,
    );
    const wins = tally(data.logits, data.noise, state.run);
    times.forEach((time, k) => {
      const name = data.labels[k];
      const mark = k === winner ? ' ← wins' : '';
      const noise = data.noise[state.run - 1][k];
      const sum =
        data.logits[k].toFixed(1) + (noise < 0 ? ' − ' : ' + ') + Math.abs(noise).toFixed(1);
      current.fill(k, { name, share: spread(time), note: sum + mark });
      soft.fill(k, { name, share: shares[k], note: shares[k].toFixed(2) });
      const share = wins[k] / state.run;
      const note = kit.percent(share) + ' (' + kit.percent(probabilities[k]) + ')';
      won.fill(k, { name, share, note });
    });
    const soFar = wins.map((often, k) => data.labels[k] + ' ' + often).join(', ');
    said.say(
      'Race ' + state.run + ': ' + data.labels[winner] + ' wins. Won so far: ' + soFar + '.',
    );
  }

  const run = kit.slider(controls, {
    label: 'races',
    min: 1,
    max: data.noise.length,
    value: Math.min(20, data.noise.length),
    change: (value) => {
      state.run = value;
      draw();
    },
  });
  const on = (more) => () => run.go(Math.min(data.noise.length, state.run + more));
  kit.button(controls, 'Next race', on(1));
  kit.button(controls, '50 more', on(50));
  kit.slider(controls, {
    label: 'temperature of the relaxed draw',
    min: -4,
    max: 3,
    step: 0.5,
    value: Math.log2(data.temperature),
    format: (value) => (2 ** value).toFixed(2),
    change: (value) => {
      state.temperature = 2 ** value;
      draw();
    },
  });
}
