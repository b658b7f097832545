"""Does a dVAE know pictures, or one alignment of one program's pixels? (chapter 13)

Decibels of emoji that it never saw: moved by 0 to 3 pixels, and drawn by the same font in other ways.
"""

from __future__ import annotations

import torch

from dalle_edu.data import EmojiPictures
from dalle_edu.data.emoji import RENDERINGS
from dalle_edu.drawing import DrawingModel
from dalle_edu.dvae import peak_signal_to_noise

SHIFTS = (0, 1, 2, 3)  # pixels, to the right, down, and both


@torch.inference_mode()
def alignment(model: DrawingModel, count: int = 96, held_out: str = "names") -> dict[str, dict[str, float]]:
    """{"shifts": pixels -> decibels, the worst of three directions; "renderings": name -> decibels}, each the
    mean of `count` test emoji spread over all of them."""
    size = model.config.dvae.image_size

    def pictures(rendering: str) -> torch.Tensor:
        emoji = EmojiPictures(size, "test", held_out=held_out, rendering=rendering).pictures
        return emoji[torch.linspace(0, len(emoji) - 1, min(count, len(emoji))).round().long()]

    def decibels(images: torch.Tensor) -> float:
        again = torch.cat([model.vae.decode(model.vae.encode(part)) for part in images.split(32)])
        return round(float(peak_signal_to_noise(images, again).mean()), 2)

    ours = pictures("averaged")
    shifts = {}
    for most in SHIFTS:
        ways = {(0, most), (most, 0), (most, most)}
        shifts[str(most)] = min(decibels(ours.roll(way, (2, 3))) for way in sorted(ways))
    return {"shifts": shifts, "renderings": {name: decibels(pictures(name)) for name in RENDERINGS}}
