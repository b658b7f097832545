"""A convolution in steps (chapter 1): one window after the other, strided and transposed, with its numbers.

out[i, j] = sum_{a, b} kernel[a, b] * image[stride * i + a - padding, stride * j + b - padding]; a transposed
convolution adds kernel * value into the same window instead. Dumoulin & Visin 2016, arXiv 1603.07285.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer

EDGE = (
    (-1.0, 0.0, 1.0),
    (-2.0, 0.0, 2.0),
    (-1.0, 0.0, 1.0),
)  # Sobel: bright where it gets lighter to the right


def convolution_explorer(image, kernel=EDGE, stride: int = 2, padding: int = 1) -> Explorer:
    """A figure to touch: choose a place of the output and
    see the window it reads, its products and their sum.

    `convolution_explorer(image)` with `image` (H, W), 3 to 12 numbers a side, say a grey picture made small;
    `kernel` (k, k), k odd; `stride` and `padding` at which it opens. The same figure shows the transposed
    convolution: one number of the input spread over a window of the output. Raises ReaderError for other
    shapes, and for a stride or a padding that leaves no window.
    """
    image, kernel = torch.as_tensor(image).float(), torch.as_tensor(kernel).float()
    if image.ndim != 2 or not 3 <= min(image.shape) <= max(image.shape) <= 12:
        raise ReaderError(f"The image must be (H, W), 3 to 12 numbers a side; this is {tuple(image.shape)}.")
    side = kernel.shape[0]
    if kernel.ndim != 2 or kernel.shape[1] != side or side % 2 == 0 or side > min(image.shape):
        raise ReaderError(f"The kernel must be square, of odd side; this one is {tuple(kernel.shape)}.")
    if stride not in (1, 2, 3) or not 0 <= padding < side:
        raise ReaderError(f"stride must be 1, 2 or 3, padding 0 to {side - 1}; given: {stride}, {padding}.")
    data = {"image": image, "kernel": kernel, "stride": stride, "padding": padding}
    down = F.conv2d(image[None, None], kernel[None, None], stride=stride, padding=padding)[0, 0]
    figure, axes = plt.subplots(1, 3, figsize=(7, 2.4))
    for ax, values, title in zip(axes, (image, kernel, down), ("input", "kernel", "output"), strict=True):
        ax.imshow(values, cmap="gray")
        ax.set_title(f"{title}, {values.shape[0]} x {values.shape[1]}")
        ax.set_xticks([])
        ax.set_yticks([])
    alt = (
        f"An input of {image.shape[0]} by {image.shape[1]} numbers, a kernel of {side} by {side}, and the "
        f"output of their convolution with stride {stride}. Live, each place of the output shows its window."
    )
    script = Path(__file__).with_suffix(".js")
    return Explorer(title="A convolution, step by step", alt=alt, data=data, script=script, figure=figure)
