"""A picture appearing token by token (chapters 0 and 11): as a strip, and as a film with the distribution
behind each step.

All numbers are a trained model's own. A frame shows the tokens drawn so far, decoded together with plain
background for the rest.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import Tensor

from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer, picture_uri
from dalle_edu.explore.figures import picture_grid

CANDIDATES = 5


@torch.inference_mode()
def next_token_probabilities(model, prompt: str, tokens: Tensor) -> Tensor:
    """For each of the picture's tokens (height * width,), what the model gave every code before it was drawn,
    at temperature 1: (height * width, vocabulary). One pass over the finished stream gives them all."""
    logits = model.dalle(model.encode_text(prompt), tokens[None])[1]
    return logits[0].float().softmax(-1)


def background_token(model) -> int:
    """The code of plain white paper."""
    size = model.config.dvae.image_size
    return int(model.vae.encode(torch.ones(1, 3, size, size)).mode().values.flatten().mode().values)


@torch.inference_mode()
def partial_pictures(model, tokens: Tensor, counts) -> Tensor:
    """The picture after the first n of its tokens (height * width,), for each n of `counts`: (len(counts), 3,
    size, size)."""
    rows = torch.full((len(counts), len(tokens)), background_token(model))
    for row, count in zip(rows, counts, strict=True):
        row[:count] = tokens[:count]
    return model.pictures(rows)


def code_pictures(model, codes) -> Tensor:
    """Each code of `codes` (n,) decoded among its like, one token's square of it: (n, 3, side, side)."""
    side = model.config.dvae.downsampling
    alone = torch.as_tensor(codes).view(-1, 1, 1).expand(-1, 3, 3)
    return model.vae.decode(alone)[:, :, side : 2 * side, side : 2 * side]


def film_strip(model, tokens: Tensor, counts=(0, 32, 64, 96, 128, 160, 192, 224, 256), ax=None) -> None:
    """Draws the picture after each of `counts` tokens, side by side."""
    captions = [f"{count} tokens" for count in counts]
    picture_grid(partial_pictures(model, tokens, counts), captions, columns=len(counts), ax=ax)


def film_explorer(model, prompt: str, tokens: Tensor) -> Explorer:
    """A film to step through: the picture after each token, and the codes that the model thought most
    probable there.

    `tokens` (height * width,) is one drawing of `prompt`. Raises ReaderError for another number of tokens.
    """
    height, width = model.config.dalle.grid
    if tokens.shape != (height * width,):
        raise ReaderError(
            f"One picture has {height * width} tokens, these are {tuple(tokens.shape)}: "
            "give drawing.tokens[i]."
        )
    probabilities = next_token_probabilities(model, prompt, tokens)
    top = probabilities.topk(CANDIDATES, dim=-1)
    frames = partial_pictures(model, tokens, range(height * width + 1))
    columns = 16
    blank = -len(frames) % columns
    frames = F.pad(frames, (0, 0, 0, 0, 0, 0, 0, blank), value=1.0)
    shown = torch.cat((top.indices, tokens[:, None]), dim=1).unique()
    data = {
        "grid": [height, width],
        "size": frames.shape[-1],
        "columns": columns,
        "frames": picture_uri(_sheet(frames, columns)),
        "side": model.config.dvae.downsampling,
        "codes": picture_uri(_sheet(code_pictures(model, shown), len(shown))),
        "places": {int(code): place for place, code in enumerate(shown)},
        "tokens": tokens,
        "top": top.indices,
        # In thousandths: two processors agree on these almost always, on more digits not.
        "share": (top.values * 1000).round().long(),
        "drawn": (probabilities.gather(1, tokens[:, None])[:, 0] * 1000).round().long(),
    }
    figure = plt.figure(figsize=(7, 1.4))
    film_strip(model, tokens, [height * width * n // 6 for n in range(1, 7)], ax=figure.add_subplot())
    alt = (
        f"A film of “{prompt}” being drawn: the picture fills token by token from the top left, in rows. "
        f"Beside it the {CANDIDATES} codes that the model held most probable for the next token, with their "
        "probabilities."
    )
    return Explorer(
        title=f"“{prompt}”, token by token", alt=alt, data=data, script=_SCRIPT, figure=figure, height=330
    )


def _sheet(pictures: Tensor, columns: int) -> Tensor:
    """(n, 3, H, W), n a multiple of columns -> (3, rows * H, columns * W)."""
    n, channels, height, width = pictures.shape
    rows = pictures.view(n // columns, columns, channels, height, width)
    return rows.permute(2, 0, 3, 1, 4).reshape(channels, n // columns * height, columns * width)


_SCRIPT = """
var n = data.tokens.length, W = data.grid[1], zoom = 256 / data.size, step = data.size / W * zoom, timer = null;
var row = kit.el('div', {style: 'display:flex;gap:1.2em;flex-wrap:wrap;align-items:flex-start'}, root);
var frame = kit.el('div', {style: 'position:relative;width:256px;height:256px;border:1px solid var(--line)'}, row);
var film = kit.el('div', {class: 'pixels', style: 'width:256px;height:256px;background-image:url(' + data.frames +
  ');background-size:' + data.columns * 256 + 'px auto'}, frame);
var mark = kit.el('div', {style: 'position:absolute;box-sizing:border-box;border:2px solid #D55E00;outline:1px solid #fff;width:' +
  (step + 4) + 'px;height:' + (step + 4) + 'px'}, frame);
var side = kit.el('div', {style: 'flex:1;min-width:14em', 'aria-live': 'polite'}, row);
function patch(code, parent) {
  var place = data.places[code], z = 22 / data.side;
  kit.el('span', {class: 'pixels', style: 'display:inline-block;width:22px;height:22px;border:1px solid var(--line);' +
    'background-image:url(' + data.codes + ');background-position:' + -place * 22 + 'px 0;background-size:auto 22px'}, parent);
}
function show(v) {
  film.style.backgroundPosition = -(v % data.columns) * 256 + 'px ' + -Math.floor(v / data.columns) * 256 + 'px';
  side.textContent = '';
  mark.style.display = v < n ? 'block' : 'none';
  if (v >= n) { kit.el('p', {}, side, 'All ' + n + ' tokens are drawn.'); return; }
  mark.style.left = (v % W) * step - 2 + 'px';
  mark.style.top = Math.floor(v / W) * step - 2 + 'px';
  kit.el('p', {style: 'margin:0 0 .3em'}, side, 'Next: row ' + Math.floor(v / W) + ', column ' + v % W + '. Most probable codes:');
  data.top[v].forEach(function (code, i) {
    var line = kit.el('div', {style: 'display:flex;align-items:center;gap:.5em;margin:2px 0'}, side), p = data.share[v][i] / 10;
    patch(code, line);
    kit.el('span', {style: 'width:3em;font-variant-numeric:tabular-nums'}, line, String(code));
    kit.el('span', {style: 'height:12px;background:var(--accent);width:' + p * 0.9 + 'px'}, line);
    kit.el('span', {}, line, p.toFixed(1) + ' %' + (code === data.tokens[v] ? '  \\u2190 drawn' : ''));
  });
  if (data.top[v].indexOf(data.tokens[v]) < 0) {
    var line = kit.el('div', {style: 'display:flex;align-items:center;gap:.5em;margin:2px 0'}, side);
    patch(data.tokens[v], line);
    kit.el('span', {}, line, data.tokens[v] + ' was drawn, at ' + (data.drawn[v] / 10).toFixed(1) + ' %');
  }
}
var slider = kit.slider(root, {label: 'Tokens drawn', min: 0, max: n, value: Math.floor(n / 2), change: show,
  format: function (v) { return v + ' of ' + n; }});
var play = kit.el('button', {type: 'button'}, root, 'Play');
function stop() { clearInterval(timer); timer = null; play.textContent = 'Play'; }
play.addEventListener('click', function () {
  if (timer) { stop(); return; }
  if (+slider.value >= n) slider.value = 0;
  play.textContent = 'Pause';
  timer = setInterval(function () {
    if (+slider.value >= n) { stop(); return; }
    slider.value = +slider.value + 1;
    slider.dispatchEvent(new Event('input'));
  }, 60);
});
"""  # noqa: E501 (JavaScript)
