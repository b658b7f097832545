"""A Gaussian code and its price (chapter 2): reparameterised draws, and the Kullback-Leibler divergence.

z = mean + exp(log_variance / 2) * noise;  KL = (mean^2 + variance - 1 - log_variance) / 2 nats
Kingma & Welling 2014, arXiv 1312.6114, section 2.4 and appendix B.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch

from dalle_edu.explore.explorer import Explorer
from dalle_edu.explore.figures import COLOURS
from dalle_edu.vae import gaussian_kl, reparameterise


def gaussian_explorer(
    mean: float = 1.5, log_variance: float = -2.0, draws: int = 40, seed: int = 0
) -> Explorer:
    """A figure to touch: move mean and log variance of q(z
    | x), see its draws move with them, and what it costs.

    `gaussian_explorer()` needs nothing; `mean` and `log_variance` are those at which it opens. The noise of
    the draws stays the same, so one sees what reparameterisation means: the draws follow the two numbers
    smoothly, and so have derivatives, which are shown for the first draw.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = reparameterise(torch.zeros(draws), torch.zeros(draws), generator)
    data = {"mean": mean, "log_variance": log_variance, "noise": noise}
    z = torch.linspace(-4, 4, 200)
    deviation = torch.tensor(log_variance / 2).exp()
    figure, ax = plt.subplots(figsize=(7, 2.6))
    ax.plot(z, torch.exp(-z * z / 2) / (2 * torch.pi) ** 0.5, color=COLOURS[1], linestyle="--", label="prior")
    density = torch.exp(-(((z - mean) / deviation) ** 2) / 2) / deviation / (2 * torch.pi) ** 0.5
    ax.plot(z, density, color=COLOURS[0], label="q(z | x)")
    ax.plot(mean + deviation * noise, torch.zeros(draws) - 0.03, "|", color=COLOURS[0], markersize=9)
    kl = float(gaussian_kl(torch.tensor([[mean]]), torch.tensor([[log_variance]])).sum())
    ax.set(xlabel="z", ylabel="density", title=f"KL = {kl:.2f} nats")
    ax.legend()
    alt = (
        "The density of a code, a narrow bell beside the prior's wide one, with draws as ticks below. Live, "
        "sliders move its mean and its log variance, and the Kullback-Leibler divergence follows."
    )
    script = Path(__file__).with_suffix(".js")
    return Explorer(title="What a code costs", alt=alt, data=data, script=script, figure=figure)
