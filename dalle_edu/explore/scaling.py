"""Loss against arithmetic for models of several sizes (chapter
10): as curves, and to touch, with what each draws there.

FLOPs of a training step = 3 * batch * forward FLOPs a
picture (Kaplan et al. 2020, section 2.1; `dalle_edu.scale`)
"""

from pathlib import Path

import matplotlib.pyplot as plt
from torch import Tensor

from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer, picture_uri
from dalle_edu.explore.figures import COLOURS

_MARKERS = ("o", "s", "^", "D")
_LINES = ("-", "--", "-.", ":")


def plot_scaling(sizes: list[dict], key: str = "image", ax=None) -> None:
    """Draws loss against FLOPs, both logarithmic, a line a size.

    sizes: what `experiments/scaling.py` stores: "width" and "points", each with "flops", the mean loss `key`
    and, where several seeds were trained, "images", the picture's loss of each (drawn as small dots). The
    start, which cost nothing, has no place on a logarithmic axis.
    """
    ax = ax or plt.gca()
    for size, colour, marker, style in zip(sizes, COLOURS, _MARKERS, _LINES, strict=False):
        points = [point for point in size["points"] if point["flops"]]
        ax.loglog(
            [point["flops"] for point in points],
            [point[key] for point in points],
            color=colour,
            marker=marker,
            linestyle=style,
            label=f"width {size['width']}",
        )
        for point in points if key == "image" else ():
            seeds = point.get("images", [])
            ax.plot([point["flops"]] * len(seeds), seeds, ".", color=colour, markersize=4, alpha=0.6)
    # Plain numbers: on less than two powers of ten, 6 x 10^-1 is hard to read.
    low, high = ax.get_ylim()
    ticks = [tick for tick in (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 4, 5, 7, 10) if low <= tick <= high]
    ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set(xlabel="FLOPs spent in training", ylabel=f"nats a token, {key}")
    ax.legend()


def scaling_explorer(
    sizes: list[dict], prompts: list[str], pictures: Tensor, title: str = "The same arithmetic, three sizes"
) -> Explorer:
    """A figure to touch: move along the arithmetic spent, and see each size's loss and what it draws there.

    sizes as in `plot_scaling`, each with the same number of points; pictures (sizes, points, prompts, 3, H,
    W) in [0, 1]. Raises ReaderError where these numbers do not fit together.
    """
    counts = (len(sizes), len(sizes[0]["points"]) if sizes else 0, len(prompts))
    lengths = {len(size["points"]) for size in sizes}
    if tuple(pictures.shape[:3]) != counts or len(lengths) != 1 or 0 in counts:
        raise ReaderError(
            f"The pictures are {tuple(pictures.shape[:3])} of (sizes, points, prompts), but there are "
            f"{counts[0]} sizes with {sorted(lengths)} points and {counts[2]} prompts."
        )
    data = {
        "prompts": list(prompts),
        "names": [f"width {size['width']}" for size in sizes],
        "flops": [[point["flops"] for point in size["points"]] for size in sizes],
        "steps": [[point["step"] for point in size["points"]] for size in sizes],
        "loss": [[point["image"] for point in size["points"]] for size in sizes],
        "pictures": [[[picture_uri(p) for p in row] for row in size] for size in pictures],
    }
    figure, ax = plt.subplots(figsize=(7, 3.2))
    plot_scaling(sizes, ax=ax)
    alt = (
        f"Loss of the picture tokens against FLOPs for {', '.join(data['names'])}, both axes logarithmic. "
        "The live figure shows, for each amount of arithmetic, what each size draws for "
        f"{'; '.join(prompts)}."
    )
    return Explorer(title=title, alt=alt, data=data, script=Path(__file__).with_suffix(".js"), figure=figure)
