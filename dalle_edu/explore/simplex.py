"""The simplex of three categories (chapter 4): relaxed draws as points, and a temperature to slide.

y = softmax((logits + g) / temperature): a point of the triangle whose corners are the three one-hots.
Jang, Gu & Poole 2017, arXiv 1611.01144, figure 1; Maddison, Mnih & Teh 2017, arXiv 1611.00712, figure 2.
"""

import matplotlib.pyplot as plt
import torch

from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer, picture_uri
from dalle_edu.explore.figures import COLOURS
from dalle_edu.gumbel import gumbel_noise

# Corners of an equilateral triangle of side 1, the first at the top.
_CORNERS = torch.tensor([[0.5, 3**0.5 / 2], [0.0, 0.0], [1.0, 0.0]])


def simplex_plot(points, labels=("A", "B", "C"), ax=None) -> None:
    """Draws `points` (N, 3), each row not negative with sum 1, in the triangle; `labels` name the corners."""
    points = torch.as_tensor(points).detach().float()
    if points.ndim != 2 or points.shape[1] != 3:
        raise ReaderError(f"A simplex in the plane has 3 categories: (N, 3), not {tuple(points.shape)}.")
    ax = ax or plt.gca()
    ax.fill(*_CORNERS.T, facecolor="none", edgecolor="black", linewidth=1)
    x, y = (points @ _CORNERS).T
    winner = points.argmax(1)
    for k, marker in enumerate("o^s"):
        chosen = winner == k
        ax.scatter(x[chosen], y[chosen], s=14, marker=marker, color=COLOURS[k], alpha=0.6, linewidths=0)
    for (x0, y0), label, up in zip(_CORNERS.tolist(), labels, (1, -1, -1), strict=True):
        ax.annotate(label, (x0, y0), (0, 6 * up), textcoords="offset points", ha="center",
                    va="bottom" if up > 0 else "top", fontsize=9)  # fmt: skip
    ax.set(aspect="equal", xlim=(-0.12, 1.12), ylim=(-0.16, 1.0))
    ax.set_axis_off()


_SCRIPT = """
var W = 330, H = 300, side = 290, left = 20, top = 22, temperature = 1, lift = 0, noisy = true;
var corner = [[left + side / 2, top], [left, top + side * 0.866], [left + side, top + side * 0.866]];
var controls = kit.el('div', {}, root);
var row = kit.el('div', {style: 'display:flex;flex-wrap:wrap;gap:1em'}, root);
var svg = kit.el('svg', {viewBox: '0 0 ' + W + ' ' + H, width: W, style: 'max-width:100%', role: 'img'}, row);
var outline = corner.map(function (c) { return c.join(','); }).join(' ');
kit.el('polygon', {points: outline, fill: 'none', stroke: 'var(--line)'}, svg);
data.labels.forEach(function (t, k) {
  kit.el('text', {x: Math.min(Math.max(corner[k][0], 40), W - 40), y: corner[k][1] + (k ? 16 : -7),
    'text-anchor': 'middle'}, svg, t);
});
var shapes = ['M-3,0a3,3 0 1,0 6,0a3,3 0 1,0 -6,0', 'M0,-4L4,3L-4,3Z', 'M-3,-3H3V3H-3Z'];
var dots = data.noise.map(function () { return kit.el('path', {'fill-opacity': 0.6}, svg); });
var ring = kit.el('circle', {r: 7, fill: 'none', stroke: 'var(--ink)', 'stroke-width': 2}, svg);
var side2 = kit.el('div', {style: 'min-width:12em;flex:1'}, row), mix = null;
if (data.pictures) {
  mix = kit.el('svg', {viewBox: '0 0 120 120', width: 120, height: 120, role: 'img',
    'aria-label': 'the three pictures, mixed by the ringed draw'}, side2);
  data.pictures.forEach(function (uri) {
    kit.el('image', {href: uri, width: 120, height: 120, 'class': 'pixels'}, mix);
  });
}
var said = kit.el('div', {'aria-live': 'polite'}, side2);
function softmax(a) {
  var m = Math.max.apply(null, a), e = a.map(function (v) { return Math.exp(v - m); });
  var s = e[0] + e[1] + e[2];
  return e.map(function (v) { return v / s; });
}
function draw() {
  var logits = [data.logits[0] + lift, data.logits[1], data.logits[2]], p = softmax(logits);
  var wins = [0, 0, 0], first;
  data.noise.forEach(function (g, i) {
    var y = softmax(logits.map(function (l, k) { return (l + (noisy ? g[k] : 0)) / temperature; }));
    var x = 0, h = 0, best = 0;
    y.forEach(function (v, k) { x += v * corner[k][0]; h += v * corner[k][1]; if (v > y[best]) best = k; });
    wins[best] += 1;
    dots[i].setAttribute('d', shapes[best]);
    dots[i].setAttribute('fill', kit.colours[best]);
    dots[i].setAttribute('transform', 'translate(' + x.toFixed(1) + ',' + h.toFixed(1) + ')');
    if (i === 0) { first = y; ring.setAttribute('cx', x); ring.setAttribute('cy', h); }
  });
  if (mix) {
    var sum = 0;
    first.forEach(function (v, k) {
      sum += v;
      mix.children[k].setAttribute('opacity', sum > 0 ? v / sum : 0);
    });
  }
  said.textContent = '';
  kit.el('p', {}, said, 'ringed draw: ' + first.map(function (v) { return v.toFixed(2); }).join(', '));
  data.labels.forEach(function (t, k) {
    kit.el('div', {}, said, t + ': probability ' + p[k].toFixed(2) + ', largest in ' +
      (100 * wins[k] / data.noise.length).toFixed(0) + ' % of the draws');
  });
}
kit.slider(controls, {label: 'temperature', min: -5, max: 4, step: 0.25, value: 0,
  format: function (v) { return Math.pow(2, v).toFixed(2); },
  change: function (v) { temperature = Math.pow(2, v); draw(); }});
kit.slider(controls, {label: 'added to the logit of ' + data.labels[0], min: -3, max: 3, step: 0.25, value: 0,
  format: function (v) { return v.toFixed(2); }, change: function (v) { lift = v; draw(); }});
kit.choice(controls, {label: 'noise', options: ['Gumbel noise', 'none: the formula in circulation'], value: 0,
  change: function (v) { noisy = v === 0; draw(); }});
"""


def simplex_explorer(logits, labels=("A", "B", "C"), pictures=None, draws=200, seed=0) -> Explorer:
    """A triangle to touch: the same `draws` noises at every temperature, for `logits` of three categories.

    `pictures` (3, 3, H, W) in [0, 1], if given, are mixed by the ringed draw. The still picture shows
    temperature 1.
    """
    logits = torch.as_tensor(logits).detach().float()
    if logits.shape != (3,) or len(labels) != 3:
        raise ReaderError("The simplex explorer draws a triangle: give three logits and three labels.")
    if pictures is not None and len(pictures) != 3:
        raise ReaderError(f"Give three pictures, one a category, not {len(pictures)}.")
    noise = gumbel_noise(torch.empty(draws, 3), torch.Generator().manual_seed(seed))
    figure, axes = plt.subplots(1, 3, figsize=(7, 2.5))
    for ax, temperature in zip(axes, (4.0, 1.0, 0.25), strict=True):
        simplex_plot(((logits + noise) / temperature).softmax(1), labels, ax=ax)
        ax.set_title(f"temperature {temperature:g}", fontsize=10)
    data = {"logits": logits, "noise": noise, "labels": list(labels)}
    if pictures is not None:
        data["pictures"] = [picture_uri(picture) for picture in pictures]
    return Explorer(
        title="Slide the temperature: where do the relaxed draws go?",
        alt="A triangle with one category at each corner and a cloud of relaxed draws. At a high temperature "
        "the cloud shrinks to the centre, at a low one every draw sits in a corner.",
        data=data,
        script=_SCRIPT,
        figure=figure,
        height=380,
    )
