"""Temperature, top-k and top-p as distributions (chapter 11): what is left of the next token's probabilities.

Every number is the model's own; the order of the dials is that of `dalle_edu.sampling.adjust_logits`.
"""

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer, picture_uri
from dalle_edu.explore.figures import COLOURS
from dalle_edu.explore.film import background_token, code_pictures
from dalle_edu.sampling import adjust_logits

_SHOWN = 12


def plot_dials(
    logits: Tensor, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, codes: int = 20, ax=None
) -> None:
    """Draws the `codes` most probable codes of (vocabulary,) logits, before and after the dials.

    Outlines are what the model gave, filled bars what is left; a code that is left out is crossed. Raises
    ReaderError for dials that cannot be.
    """
    ax = ax or plt.gca()
    before = logits.float().softmax(-1)
    after = adjust_logits(logits.float(), temperature, top_k, top_p).softmax(-1)
    order = before.sort(descending=True, stable=True).indices[:codes]
    places = range(len(order))
    ax.bar(places, after[order].tolist(), color=COLOURS[5], width=0.85)
    ax.bar(places, before[order].tolist(), fill=False, edgecolor="black", linewidth=1, width=0.85)
    out = [place for place, code in enumerate(order.tolist()) if after[code] == 0]
    if out:  # an empty line outside the axes would upset the layout
        ax.plot(
            out,
            [0] * len(out),
            "x",
            color=COLOURS[1],
            clip_on=False,
            markersize=min(5, 110 / codes),
            markeredgewidth=1.5,
        )
    ax.set_xticks([])
    ax.set_xlim(-0.8, len(order) - 0.2)


@torch.inference_mode()
def dials_explorer(model, prompt: str, tokens: Tensor, places: list[int]) -> Explorer:
    """A figure to touch: turn temperature, top-k and top-p, see what becomes of a distribution, draw from it.

    It is that of the next token at some `places` of a drawing, 0 to height * width - 1.

    `tokens` (height * width,) is one drawing of `prompt`. Raises ReaderError for other shapes and places
    outside.
    """
    height, width = model.config.dalle.grid
    if tokens.shape != (height * width,):
        raise ReaderError(
            f"A picture has {height * width} tokens, these are {tuple(tokens.shape)}: give drawing.tokens[i]."
        )
    if not places or not all(0 <= place < height * width for place in places):
        raise ReaderError(f"places are {places}; name at least one, from 0 to {height * width - 1}.")
    logits = model.dalle(model.encode_text(prompt), tokens[None])[1][0, places].float()
    vocabulary = logits.shape[1]
    frames = torch.full((len(places), len(tokens)), background_token(model))
    for row, place in zip(frames, places, strict=True):
        row[:place] = tokens[:place]
    pictures = code_pictures(model, range(vocabulary))
    columns = 32
    blank = pictures.new_ones(-vocabulary % columns, *pictures.shape[1:])
    sheet = torch.cat((pictures, blank)).unflatten(0, (-1, columns)).permute(2, 0, 3, 1, 4)
    side = pictures.shape[-1]
    data = {
        "grid": [height, width],
        "places": places,
        "frames": [picture_uri(frame) for frame in model.pictures(frames)],
        "codes": picture_uri(sheet.reshape(3, -1, columns * side)),
        "columns": columns,
        # In hundredths, from the highest down: enough for a picture, and two processors seldom differ.
        "logits": ((logits - logits.amax(1, keepdim=True)) * 100).round().long(),
    }
    figure, axes = plt.subplots(1, len(places), figsize=(7, 2.1), squeeze=False, sharey=True)
    for ax, place, row in zip(axes[0], places, logits, strict=True):
        plot_dials(row, codes=_SHOWN, ax=ax)
        ax.set_title(f"row {place // width}, column {place % width}", fontsize=9)
    axes[0, 0].set_ylabel("probability")
    alt = (
        f"The distribution of the next token at {len(places)} places of drawing “{prompt}”: bars for the "
        "most probable codes. Live, sliders for temperature, top-k and top-p change it, and a button draws."
    )
    return Explorer(title="Turn the dials", alt=alt, data=data, script=_SCRIPT, figure=figure, height=430)


_SCRIPT = """
var W = data.grid[1], shown = 12, place = 0, tau = 1, k = 0, p = 1, V = data.logits[0].length, tally = {}, draws = 0;
var steps = [0, 1, 2, 3, 5, 8, 12, 20, 32, 64, 128, 256];
var row = kit.el('div', {style: 'display:flex;gap:1.2em;flex-wrap:wrap;align-items:flex-start'}, root);
var left = kit.el('div', {}, row), right = kit.el('div', {style: 'flex:1;min-width:14em', class: 'bars'}, row);
var frame = kit.el('div', {style: 'position:relative;width:192px;height:192px;border:1px solid var(--line)'}, left);
var image = kit.el('img', {alt: 'The picture so far, the next place framed.', class: 'pixels',
  style: 'width:192px;height:192px;display:block'}, frame);
var mark = kit.el('div', {style: 'position:absolute;box-sizing:border-box;border:2px solid #D55E00;outline:1px solid #fff;' +
  'width:' + (192 / W + 4) + 'px;height:' + (192 / W + 4) + 'px'}, frame);
var says = kit.el('p', {'aria-live': 'polite', class: 'says', style: 'margin:.4em 0;min-height:3em'}, root);
var controls = kit.el('div', {}, root);
/* The dials in the order of adjust_logits: temperature, then top-k, then top-p of what is left. */
function turn() {
  var logits = data.logits[place].map(function (l) { return l / 100 / tau; }), order = logits.map(function (_, i) { return i; });
  order.sort(function (a, b) { return logits[b] - logits[a] || a - b; });
  var kept = k ? order.slice(0, k) : order, weights = kept.map(function (c) { return Math.exp(logits[c]); });
  var sum = weights.reduce(function (a, b) { return a + b; }, 0), held = 0, share = [];
  for (var i = 0; i < kept.length && (held < p || p >= 1); i++) { share.push(weights[i] / sum); held += weights[i] / sum; }
  var out = new Array(V).fill(0);
  share.forEach(function (s, i) { out[kept[i]] = s / held; });
  return {order: order, share: out, left: share.length};
}
function show() {
  var now = turn(), bits = 0, most = now.share[now.order[0]];
  now.share.forEach(function (s) { if (s > 0) bits -= s * Math.log2(s); });
  image.src = data.frames[place];
  mark.style.left = data.places[place] % W * 192 / W - 2 + 'px';
  mark.style.top = Math.floor(data.places[place] / W) * 192 / W - 2 + 'px';
  right.textContent = '';
  now.order.slice(0, shown).forEach(function (code) {
    var line = kit.el('div', {style: 'display:flex;align-items:center;gap:.5em;margin:1px 0'}, right), s = now.share[code];
    kit.el('span', {class: 'pixels', style: 'display:inline-block;width:18px;height:18px;border:1px solid var(--line);' +
      'background-image:url(' + data.codes + ');background-size:' + data.columns * 18 + 'px auto;background-position:' +
      -(code % data.columns) * 18 + 'px ' + -Math.floor(code / data.columns) * 18 + 'px'}, line);
    kit.el('span', {style: 'width:2.6em;font-variant-numeric:tabular-nums'}, line, String(code));
    kit.el('span', {style: 'height:11px;background:var(--accent);width:' + s * 110 + 'px'}, line);
    kit.el('span', {style: 'white-space:nowrap'}, line, (s > 0 ? (100 * s).toFixed(1) + ' %' : 'left out') +
      (draws ? '  \\u00b7 ' + (tally[code] || 0) + ' of ' + draws : ''));
  });
  says.textContent = 'Kept: ' + now.left + ' of ' + V + ' codes. The most probable has ' + (100 * most).toFixed(1) +
    ' %. Entropy: ' + bits.toFixed(2) + ' bits' + (draws ? '; ' + Object.keys(tally).length + ' different codes drawn.' : '.');
}
function changed() { tally = {}; draws = 0; show(); }
if (data.places.length > 1) kit.choice(controls, {label: 'Next token at', options: data.places.map(function (v) {
  return 'row ' + Math.floor(v / W) + ', column ' + v % W; }), change: function (v) { place = v; changed(); }});
kit.slider(controls, {label: 'Temperature', min: 5, max: 200, step: 5, value: 100,
  format: function (v) { return (v / 100).toFixed(2); }, change: function (v) { tau = v / 100; changed(); }});
kit.slider(controls, {label: 'top-k', min: 0, max: steps.length - 1, value: 0,
  format: function (v) { return v ? String(steps[v]) : 'all'; }, change: function (v) { k = steps[v]; changed(); }});
kit.slider(controls, {label: 'top-p', min: 5, max: 100, step: 5, value: 100,
  format: function (v) { return (v / 100).toFixed(2); }, change: function (v) { p = v / 100; changed(); }});
var button = kit.el('button', {type: 'button'}, controls, 'Draw 100 times');
button.addEventListener('click', function () {
  var now = turn();
  for (var n = 0; n < 100; n++) {
    var u = Math.random(), i = 0, last = now.order[0];
    while (i < V && now.share[now.order[i]] > 0) { last = now.order[i]; u -= now.share[last]; if (u < 0) break; i++; }
    tally[last] = (tally[last] || 0) + 1;
  }
  draws += 100;
  show();
});
"""  # noqa: E501
