"""The sparse transformer: a stack of pre-norm blocks, each with one attention mask (chapter 8).

    x <- x + attention(norm(x));  x <- x + mlp(norm(x));      attention = softmax(Q K^T / sqrt(d) + mask) V

Vaswani et al. 2017; Radford et al. 2019 (pre-norm); Child et al. 2019; Ramesh et al. 2021, appendix B.1.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dalle_edu.configs.checked import Count, Grid, checked, names
from dalle_edu.errors import ReaderError
from dalle_edu.masks import KINDS, attention_mask, kept, keys_to_add, lags_to_add, layer_kinds
from dalle_edu.sparse import sparse_attention


@checked("dalle")
class TransformerConfig:
    """A stream of `text_length` text positions, then grid[0] * grid[1] picture positions.

    `width` is the size of a state, split among `heads`. `kernel` is the
    side of the convolutional mask. `kinds` gives each layer's mask; left
    empty it is the paper's order for `depth` layers, `layer_kinds(depth)`.
    """

    text_length: Count
    grid: Grid
    width: Count
    depth: Count
    heads: Count
    kernel: Count = 11
    kinds: names(*KINDS) = ()

    def __post_init__(self):
        if self.width % self.heads:
            raise ReaderError(
                f"width {self.width} is no multiple of heads {self.heads}: every head needs the same size."
            )
        if self.kernel % 2 == 0:
            raise ReaderError(
                f"kernel is {self.kernel}; it must be odd, so that the query stands in its middle."
            )
        if not self.kinds:
            object.__setattr__(self, "kinds", tuple(layer_kinds(self.depth)))
        if len(self.kinds) != self.depth:
            raise ReaderError(
                f"kinds names {len(self.kinds)} layers, depth is {self.depth}: name one kind a layer."
            )

    @property
    def picture_length(self) -> int:
        """Number of picture tokens."""
        return self.grid[0] * self.grid[1]

    @property
    def length(self) -> int:
        """Number of all positions of the stream."""
        return self.text_length + self.picture_length


class Attention(nn.Module):
    """Multi-head self-attention under the mask of one `kind`: text to text, picture to text and picture to
    picture in one operation, normalised together (section 2.2)."""

    def __init__(self, config: TransformerConfig, kind: str):
        super().__init__()
        self.config, self.kind = config, kind
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(batch, length, width) -> queries, keys and values, each (batch, heads, length, head size)."""
        batch, length, _ = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.config.heads, -1)
        return qkv.permute(2, 0, 3, 1, 4).unbind(0)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, width) -> the same; a stream cut short works as well (its mask is a corner)."""
        query, key, value = self.split(x)
        c, length = self.config, x.shape[1]
        if length == c.length:
            mixed = sparse_attention(query, key, value, self.kind, c.text_length, c.grid, c.kernel)
        else:  # no whole rows and columns to share work between: every score, and the mask
            mask = kept(attention_mask, x.device, self.kind, c.text_length, c.grid, c.kernel)
            mask = mask[:length, :length]
            mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.out(mixed.transpose(1, 2).reshape(x.shape))

    def step(self, x: Tensor, position: int | Tensor, cache: dict[str, Tensor]) -> Tensor:
        """One picture token a sample, after all before it: (prompts * samples, width) -> the same.

        `position` is 0 .. picture_length - 1. As a whole number: the keys that the mask lets the token see
        are read where they stand in `cache`, which is written in place. As a tensor with one number: all
        shapes are the same at every position, as `torch.compile` and an export want it, and the keys are
        fetched. The states are the same.
        """
        prompts, heads, text_length, size = cache["text_keys"].shape
        qkv = self.qkv(x).view(prompts, -1, 3, heads, size).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)  # each (prompts, heads, samples, head size)
        near_keys, near_values, blocked = self.near(position, key, value, cache)
        query = query / math.sqrt(size)
        # The text is the same for all samples of a prompt: its keys are stored, and read, once a prompt.
        to_text = query @ cache["text_keys"].mT
        to_picture = (query[..., None, :] @ near_keys.mT)[..., 0, :]
        if blocked is not None:
            to_picture = to_picture + blocked
        weights = torch.cat((to_text, to_picture), dim=-1).softmax(-1).to(value.dtype)
        from_picture = (weights[..., None, text_length:] @ near_values)[..., 0, :]
        mixed = weights[..., :text_length] @ cache["text_values"] + from_picture
        return self.out(mixed.transpose(1, 2).reshape(x.shape))

    def near(self, position: int | Tensor, key: Tensor, value: Tensor, cache: dict[str, Tensor]):
        """Stores `key` and `value`, (prompts, heads, samples, head size), and returns what the token may see.

        That is keys and values, (prompts, heads, samples, K, head size), and what to add to their K scores,
        (K,) or None.
        """
        c, keys, values = self.config, cache["keys"], cache["values"]
        if isinstance(position, Tensor):
            indices, blocked = kept(keys_to_add, key.device, self.kind, c.grid, c.kernel)
            indices, blocked = indices.index_select(0, position)[0], blocked.index_select(0, position)[0]
            keys.index_copy_(3, position, key[..., None, :])
            values.index_copy_(3, position, value[..., None, :])
            return keys.index_select(3, indices), values.index_select(3, indices), blocked
        keys[..., position, :], values[..., position, :] = key, value
        step, longest, blocked = kept(lags_to_add, key.device, self.kind, c.grid, c.kernel)
        count = min(longest, position) // step + 1
        seen = slice(position - (count - 1) * step, position + 1, step)
        return keys[..., seen, :], values[..., seen, :], None if blocked is None else blocked[-count:]


class Block(nn.Module):
    """Attention, then a two-layer network four times as wide, each on a normalised copy and added back."""

    def __init__(self, config: TransformerConfig, kind: str):
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.width)
        self.attention = Attention(config, kind)
        self.mlp_norm = nn.LayerNorm(config.width)
        self.mlp = nn.Sequential(
            nn.Linear(config.width, 4 * config.width), nn.GELU(), nn.Linear(4 * config.width, config.width)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x))
        return x + self.mlp(self.mlp_norm(x))

    def step(self, x: Tensor, position: int | Tensor, cache: dict[str, Tensor]) -> Tensor:
        """`forward` for one picture token a sample, the others in `cache`: (batch, width) -> the same."""
        x = x + self.attention.step(self.attention_norm(x), position, cache)
        return x + self.mlp(self.mlp_norm(x))


class Transformer(nn.Module):
    """`depth` blocks, block i under the mask `config.kinds[i]`, and a last norm: states in, states out."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleList(Block(config, kind) for kind in config.kinds)
        self.norm = nn.LayerNorm(config.width)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif parameter.dim() > 1:
                # GPT-2's start: small, and smaller still for what is added to the stream 2 * depth times.
                adds = name.endswith(("out.weight", "mlp.2.weight"))
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * config.depth) if adds else 0.02)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, width) -> (batch, length, width)."""
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def prefill(self, x: Tensor, samples: int) -> tuple[Tensor, list[dict[str, Tensor]]]:
        """Runs the text once a prompt: `x` (prompts, text_length, width).

        Returns the states (prompts, text_length, width) and a cache, a dict a layer: `text_keys` and
        `text_values` (prompts, heads, text_length, head size), and room for `keys` and `values` of `samples`
        pictures a prompt, (prompts, heads, samples, picture_length, head size), which `step` fills from the
        first position on.
        """
        cache = []
        for block in self.blocks:
            _, key, value = block.attention.split(block.attention_norm(x))
            room = (*key.shape[:2], samples, self.config.picture_length, key.shape[3])
            cache.append(
                {
                    "text_keys": key.contiguous(),
                    "text_values": value.contiguous(),
                    "keys": key.new_empty(room),
                    "values": key.new_empty(room),
                }
            )
            x = block(x)
        return self.norm(x), cache

    def step(self, x: Tensor, position: int | Tensor, cache: list[dict[str, Tensor]]) -> Tensor:
        """One picture token a sample: `x` (prompts * samples, width) -> states of the same shape."""
        for block, layer in zip(self.blocks, cache, strict=True):
            x = block.step(x, position, layer)
        return self.norm(x)
