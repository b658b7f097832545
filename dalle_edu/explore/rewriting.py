"""Rewrite one token of a picture and see what the decoder makes of it: which pixels a token answers for."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer, picture_uri
from dalle_edu.explore.figures import picture_array


def rewrite_explorer(vae, image: Tensor, runners_up: int = 3, strangers: int = 2, seed: int = 0) -> Explorer:
    """An explorer for the tokens of `image` (3, H, W) under the reader's own discrete VAE.

    Choose a place of the grid, then another code for it: one of the `runners_up` (the next most probable
    codes of q(z | x)) or of the `strangers` (codes at random). Every picture is decoded beforehand, by the
    whole decoder, so keep the picture small: 32 x 32 pixels with 8 x 8 tokens are 320 pictures.
    Raises ReaderError for a picture of another shape or one with more than 256 tokens.
    """
    if image.ndim != 3 or image.shape[0] != 3:
        raise ReaderError(f"One picture of shape (3, height, width) is needed, not {tuple(image.shape)}.")
    tokens, others, chances = alternatives(vae, image, runners_up, strangers, seed)
    height, width = tokens.shape
    if height * width > 256:
        raise ReaderError(f"A grid of {height} x {width} tokens is too large; cut the picture.")
    number = others.shape[-1]
    changed = tokens.repeat(height * width, number, 1, 1)  # (places, number, height, width)
    place = torch.arange(height * width)
    changed[place[:, None], torch.arange(number), (place // width)[:, None], (place % width)[:, None]] = (
        others
    )
    pictures = torch.cat([vae.decode(part) for part in changed.flatten(0, 1).split(64)])
    # One sheet of all pictures: a row a place, a column a code.
    sheet = pictures.unflatten(0, (-1, number)).permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)
    decoded = vae.decode(tokens[None])[0]
    data = {
        "tokens": tokens.flatten(),
        "others": others,
        "chances": (100 * chances).round().long(),
        "runnersUp": runners_up,
        "grid": [height, width],
        "size": [image.shape[1], image.shape[2]],
        "original": picture_uri(image),
        "decoded": picture_uri(decoded),
        "sheet": picture_uri(sheet),
    }
    return Explorer(
        title="Rewrite a token",
        alt=(
            f"A picture, and what the decoder draws from its {height} by {width} tokens. Choose one of the "
            "tokens and give it another code: the picture changes around that place."
        ),
        data=data,
        script=_SCRIPT,
        figure=_still(image, decoded, pictures, height, width, number),
        height=340,
    )


def alternatives(vae, image: Tensor, runners_up: int, strangers: int, seed: int = 0):
    """Tokens (h, w), other codes for each (h * w, runners_up + strangers), and q(z | x) of the token and of
    each of those codes (h * w, 1 + runners_up + strangers)."""
    with torch.no_grad():
        q = vae.logits(image[None])[0].softmax(0).flatten(1).T  # (h * w, vocabulary)
        tokens = vae.encode(image[None])[0]
    # The picture's own token first, even where another code is exactly as probable.
    ranked = q.scatter(1, tokens.reshape(-1, 1), 2.0).topk(1 + runners_up).indices
    generator = torch.Generator().manual_seed(seed)
    strange = torch.randint(q.shape[1], (len(q), strangers), generator=generator)
    codes = torch.cat([ranked, strange], dim=1)
    return tokens, codes[:, 1:], q.gather(1, codes)


def _still(image, decoded, pictures, height, width, number):
    """Original, decoded, and one token in the middle replaced by a stranger."""
    place = height // 2 * width + width // 2
    figure, axes = plt.subplots(1, 3, figsize=(6.6, 2.5))
    three = [image, decoded, pictures[place * number + number - 1]]
    for ax, picture, title in zip(axes, three, ("original", "decoded", "one token changed"), strict=True):
        ax.imshow(picture_array(picture[None])[0])
        ax.set(title=title, xticks=[], yticks=[])
    high, wide = image.shape[1] / height, image.shape[2] / width
    corner = np.array([width // 2 * wide - 0.5, height // 2 * high - 0.5])
    axes[2].add_patch(plt.Rectangle(corner, wide, high, fill=False, edgecolor="black", linewidth=2))
    return figure


_SCRIPT = r"""
var h = data.grid[0], w = data.grid[1], H = data.size[0], W = data.size[1], n = data.others[0].length;
var zoom = Math.max(1, Math.floor(256 / W)), place = (h >> 1) * w + (w >> 1), code = 0;
var row = kit.el('div', {style: 'display:flex;flex-wrap:wrap;gap:1em'}, root);
function panel(name) {
  var box = kit.el('div', {}, row);
  kit.el('div', {}, box, name);
  return kit.el('canvas', {width: W * zoom, height: H * zoom, style: 'max-width:100%'}, box);
}
var first = panel('original'), second = panel('decoded from the tokens');
second.setAttribute('tabindex', '0');
second.setAttribute('role', 'application');
second.setAttribute('aria-label', 'Token grid. Arrow keys choose a token, buttons below give it a code.');
second.style.cursor = 'crosshair';
var say = kit.el('p', {'aria-live': 'polite', style: 'margin:.4em 0'}, root);
var buttons = kit.el('div', {style: 'display:flex;flex-wrap:wrap;gap:.4em'}, root);
function image(uri) { var i = new Image(); i.onload = draw; i.src = uri; return i; }
var original = image(data.original), decoded = image(data.decoded), sheet = image(data.sheet);
function paint(canvas, source, x, y) {
  if (!source.complete) return;
  var c = canvas.getContext('2d');
  c.imageSmoothingEnabled = false;
  c.drawImage(source, x, y, W, H, 0, 0, W * zoom, H * zoom);
}
function draw() {
  paint(first, original, 0, 0);
  if (code === 0) paint(second, decoded, 0, 0); else paint(second, sheet, (code - 1) * W, place * H);
  [first, second].forEach(function (canvas) {
    var c = canvas.getContext('2d'), a = W * zoom / w, b = H * zoom / h;
    var x = place % w * a, y = Math.floor(place / w) * b;
    c.lineWidth = 3; c.strokeStyle = '#fff'; c.strokeRect(x - 1, y - 1, a + 2, b + 2);
    c.lineWidth = 1.5; c.strokeStyle = '#000'; c.strokeRect(x - 1, y - 1, a + 2, b + 2);
  });
}
function choose(next) {
  code = next;
  var chance = data.chances[place][code];
  var which = code === 0 ? 'its own' : code <= data.runnersUp ? 'a runner-up' : 'a stranger';
  var now = code === 0 ? data.tokens[place] : data.others[place][code - 1];
  say.textContent = 'Row ' + (Math.floor(place / w) + 1) + ', column ' + (place % w + 1) + ': code ' + now +
    ', ' + which + '; the encoder gave it ' + (chance < 1 ? 'less than 1' : chance) + ' %.';
  Array.prototype.forEach.call(buttons.children, function (b, i) { b.setAttribute('aria-pressed', i === code);
    b.style.fontWeight = i === code ? '700' : '400'; });
  draw();
}
function go(next) {
  place = next;
  buttons.textContent = '';
  for (var i = 0; i <= n; i++) (function (i) {
    var text = i === 0 ? 'own ' + data.tokens[place] :
      (i <= data.runnersUp ? 'next ' : 'stranger ') + data.others[place][i - 1];
    kit.el('button', {type: 'button'}, buttons, text).addEventListener('click', function () { choose(i); });
  })(i);
  choose(0);
}
[first, second].forEach(function (canvas) {
  canvas.addEventListener('click', function (e) {
    var r = canvas.getBoundingClientRect();
    var x = Math.min(w - 1, Math.floor((e.clientX - r.left) / r.width * w));
    var y = Math.min(h - 1, Math.floor((e.clientY - r.top) / r.height * h));
    go(Math.max(0, y) * w + Math.max(0, x));
  });
});
second.addEventListener('keydown', function (e) {
  var x = place % w, y = Math.floor(place / w), k = e.key;
  if (k === 'ArrowLeft') x = Math.max(0, x - 1); else if (k === 'ArrowRight') x = Math.min(w - 1, x + 1);
  else if (k === 'ArrowUp') y = Math.max(0, y - 1); else if (k === 'ArrowDown') y = Math.min(h - 1, y + 1);
  else return;
  e.preventDefault();
  go(y * w + x);
});
go(place);
"""
