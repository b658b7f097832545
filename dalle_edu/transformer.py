"""The sparse transformer: a stack of pre-norm blocks, each with one attention mask (chapter 8).

    x <- x + attention(norm(x));  x <- x + mlp(norm(x));      attention = softmax(Q K^T / sqrt(d) + mask) V

Vaswani et al. 2017; Radford et al. 2019 (pre-norm); Child et al. 2019; Ramesh et al. 2021, appendix B.1 (layer kinds).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dalle_edu.errors import ReaderError
from dalle_edu.masks import attention_mask, layer_kinds, picture_keys
from dalle_edu.sparse import sparse_attention


@dataclass(frozen=True)
class TransformerConfig:
    """A stream of `text_length` text positions, then grid[0] * grid[1] picture positions.

    `width` is the size of a state, split among `heads`. `kernel` is the side of the convolutional mask. `kinds` gives each
    layer's mask; left empty it is the paper's order for `depth` layers, `layer_kinds(depth)`.
    """

    text_length: int
    grid: tuple[int, int]
    width: int
    depth: int
    heads: int
    kernel: int = 11
    kinds: tuple[str, ...] = ()

    def __post_init__(self):
        if self.width % self.heads:
            raise ReaderError(f"width {self.width} is no multiple of heads {self.heads}: every head needs the same size.")
        if not self.kinds:
            object.__setattr__(self, "kinds", tuple(layer_kinds(self.depth)))
        if len(self.kinds) != self.depth:
            raise ReaderError(f"kinds names {len(self.kinds)} layers, depth is {self.depth}: name one kind a layer.")

    @property
    def picture_length(self) -> int:
        """Number of picture tokens."""
        return self.grid[0] * self.grid[1]

    @property
    def length(self) -> int:
        """Number of all positions of the stream."""
        return self.text_length + self.picture_length


@lru_cache(maxsize=32)
def mask_on(device: torch.device, kind: str, text_length: int, grid: tuple[int, int], kernel: int) -> Tensor:
    """`attention_mask` on a device; kept, because every layer and every step asks for the same few."""
    return attention_mask(kind, text_length, grid, kernel).to(device)


@lru_cache(maxsize=32)
def keys_on(device: torch.device, kind: str, grid: tuple[int, int], kernel: int) -> tuple[Tensor, Tensor]:
    """`picture_keys` on a device, with the invalid ones as -inf to add to scores: (N, K) int64, (N, K) float32."""
    indices, valid = picture_keys(kind, grid, kernel)
    return indices.to(device), torch.zeros(valid.shape).masked_fill(~valid, -math.inf).to(device)


class Attention(nn.Module):
    """Multi-head self-attention under the mask of one `kind`: text to text, picture to text and picture to picture
    in one operation, normalised together (section 2.2)."""

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
        """(batch, length, width) -> the same; a stream cut short at its end works as well (its mask is a corner)."""
        query, key, value = self.split(x)
        c, length = self.config, x.shape[1]
        if length == c.length:
            mixed = sparse_attention(query, key, value, self.kind, c.text_length, c.grid, c.kernel)
        else:  # no whole rows and columns to share work between: every score, and the mask
            mask = mask_on(x.device, self.kind, c.text_length, c.grid, c.kernel)[:length, :length]
            mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.out(mixed.transpose(1, 2).reshape(x.shape))

    def step(self, x: Tensor, position: Tensor, cache: dict[str, Tensor]) -> Tensor:
        """One picture token a sample: `x` (prompts * samples, width) at `position` (a tensor with one number, 0 ..
        picture_length - 1). Only the keys that the mask lets it see are read; `cache` is written in place."""
        c, samples = self.config, x.shape[0] // cache["text_keys"].shape[0]
        query, key, value = self.qkv(x).view(x.shape[0], 3, c.heads, -1).unbind(1)  # each (P * S, heads, head size)
        cache["keys"].index_copy_(2, position, key[:, :, None])
        cache["values"].index_copy_(2, position, value[:, :, None])
        indices, blocked = keys_on(x.device, self.kind, c.grid, c.kernel)
        indices, blocked = indices.index_select(0, position)[0], blocked.index_select(0, position)
        query = query / math.sqrt(query.shape[-1])
        # The text is the same for all samples of a prompt: its keys are stored, and read, once a prompt.
        per_prompt = query.view(-1, samples, c.heads, query.shape[-1]).transpose(1, 2)  # (P, heads, S, head size)
        text = (per_prompt @ cache["text_keys"].transpose(2, 3)).transpose(1, 2).flatten(0, 1)
        near = cache["keys"].index_select(2, indices)
        picture = (near @ query[..., None])[..., 0] + blocked
        weights = torch.cat((text, picture), dim=-1).softmax(-1)
        text, picture = weights.split((c.text_length, indices.shape[0]), dim=-1)
        from_text = text.view(-1, samples, c.heads, c.text_length).transpose(1, 2) @ cache["text_values"]
        from_picture = (picture[:, :, None] @ cache["values"].index_select(2, indices))[:, :, 0]
        mixed = from_text.transpose(1, 2).reshape(from_picture.shape) + from_picture
        return self.out(mixed.flatten(1))


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

    def step(self, x: Tensor, position: Tensor, cache: dict[str, Tensor]) -> Tensor:
        """`forward` for one picture token a sample, with the earlier ones in `cache`: (batch, width) -> (batch, width)."""
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
                # GPT-2's start: small, and smaller still for what is added to the residual stream 2 * depth times.
                adds = name.endswith(("out.weight", "mlp.2.weight"))
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * config.depth) if adds else 0.02)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, width) -> (batch, length, width)."""
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def prefill(self, x: Tensor, samples: int) -> tuple[Tensor, list[dict[str, Tensor]]]:
        """Runs the text once a prompt: `x` (prompts, text_length, width).

        Returns the states (prompts, text_length, width) and a cache, a dict a layer: `text_keys` and `text_values`
        (prompts, heads, text_length, head size), and room for `keys` and `values` of `samples` pictures a prompt,
        (prompts * samples, heads, picture_length, head size).
        """
        cache = []
        for block in self.blocks:
            _, key, value = block.attention.split(block.attention_norm(x))
            room = (x.shape[0] * samples, key.shape[1], self.config.picture_length, key.shape[3])
            cache.append(
                {
                    "text_keys": key.contiguous(),
                    "text_values": value.contiguous(),
                    "keys": key.new_zeros(room),
                    "values": key.new_zeros(room),
                }
            )
            x = block(x)
        return self.norm(x), cache

    def step(self, x: Tensor, position: Tensor, cache: list[dict[str, Tensor]]) -> Tensor:
        """One picture token a sample: `x` (prompts * samples, width) -> states of the same shape."""
        for block, layer in zip(self.blocks, cache, strict=True):
            x = block.step(x, position, layer)
        return self.norm(x)
