"""The peer that the benchmarks time beside this package: DALLE-pytorch (lucidrains), of the same sizes.

It is not a dependency. Into an environment that has this package (PyTorch stays as it is):

    pip install --no-deps dalle-pytorch==1.6.6 axial_positional_embedding rotary-embedding-torch
    pip install --no-deps einops torch-einops-utils

Its VQGAN, its tokenizers and the libraries that only those need are not installed and not timed: empty
modules stand in for them while it is imported. Without it the benchmarks time this package alone, and say so.
"""

import importlib
import sys
import types

UNUSED = ["taming", "taming.models", "taming.models.vqgan", "omegaconf", "youtokentome", "transformers"]
UNUSED += ["pkg_resources"]
# The paper's mixture in the peer's words. Its axial layers see their own row or column only, its "conv_like"
# a window of 5 x 5: fewer keys than ours, which see the row above as well, and a window of 11 x 11.
KINDS = {"row": "axial_row", "column": "axial_col", "conv": "conv_like", "dense": "full"}


class _Empty(types.ModuleType):
    """A module that has every name asked for, each an empty class."""

    __path__ = ()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def load_peer():
    """The module `dalle_pytorch`, or None where it is not installed."""
    if importlib.util.find_spec("dalle_pytorch") is None:
        return None
    stand_ins = {name: _Empty(name) for name in UNUSED if name not in sys.modules}
    sys.modules.update(stand_ins)
    try:
        return importlib.import_module("dalle_pytorch.dalle_pytorch")
    finally:
        for name in stand_ins:
            del sys.modules[name]


def peer_dalle(
    kinds, grid_side, width, depth, heads, text_length, text_vocabulary, image_vocabulary, cached=False
):
    """A DALLE of the peer, or None where it is not installed.

    `kinds` names one mask a layer in our words. `cached` takes its option `optimize_for_inference`, a static
    mask on its dense layer, without which its sparse layers do not use a cache; it knows no "conv" then.
    """
    module = load_peer()
    if module is None:
        return None
    vae = module.DiscreteVAE(
        image_size=4 * grid_side, num_layers=2, num_tokens=image_vocabulary, codebook_dim=16, hidden_dim=16
    )
    return module.DALLE(
        dim=width,
        vae=vae,
        num_text_tokens=text_vocabulary,
        text_seq_len=text_length,
        depth=depth,
        heads=heads,
        dim_head=width // heads,
        attn_types=tuple(KINDS[kind] for kind in kinds),
        optimize_for_inference=cached,
    )
