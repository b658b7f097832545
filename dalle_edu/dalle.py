"""DALL·E: one transformer over text tokens and picture
tokens, trained to predict the next of either (chapter 9).

    loss = 1/8 mean_text[-ln p(y_i | y_<i)] + 7/8 mean_picture[-ln p(z_j | y, z_<j)]

Ramesh et al. 2021, section 2.2 and appendix B.1.
"""

from __future__ import annotations

from dataclasses import asdict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dalle_edu.configs.checked import Count, Grid, Share, checked, names
from dalle_edu.errors import ReaderError
from dalle_edu.masks import KINDS
from dalle_edu.transformer import Transformer, TransformerConfig
from dalle_edu.vqvae import check_tokens


@checked("dalle")
class DalleConfig:
    """Shape of a DALL·E. `text_vocabulary` counts word pieces, without the `text_length` padding tokens;
    `grid` is (height, width) in picture tokens; `text_weight` is the text's share of the loss, the picture's
    is the rest."""

    text_vocabulary: Count
    text_length: Count
    image_vocabulary: Count
    grid: Grid
    width: Count
    depth: Count
    heads: Count
    kernel: Count = 11
    kinds: names(*KINDS) = ()
    text_weight: Share = 1 / 8

    def __post_init__(self):
        self.transformer()  # raises where the sizes do not fit together

    def transformer(self) -> TransformerConfig:
        """The part of the configuration that the transformer needs."""
        own = asdict(self)
        names = ("text_length", "grid", "width", "depth", "heads", "kernel", "kinds")
        return TransformerConfig(**{name: own[name] for name in names})

    @property
    def picture_length(self) -> int:
        """Number of picture tokens."""
        return self.grid[0] * self.grid[1]

    @property
    def length(self) -> int:
        """Number of positions of the stream."""
        return self.text_length + self.picture_length

    @classmethod
    def from_name(cls, name: str) -> DalleConfig:
        """A configuration of `dalle_edu/configs`, "paper-12b" for one, or of a TOML file."""
        from dalle_edu.configs import read_config

        return read_config(name).dalle


class Dalle(nn.Module):
    """Text tokens and picture tokens in, logits of the next token out.

    Text is (batch, text_length) int64: word pieces below `text_vocabulary`, then, where the caption has
    ended, the padding token of that position, `text_vocabulary` + position (`CaptionTokenizer.encode` makes
    it so). Picture tokens are (batch, picture_length) int64 in raster order. Position i of the stream sees
    token i and predicts token i + 1, so the last text position predicts the first picture token, and the
    first text token, which nothing comes before, is never predicted.
    """

    def __init__(self, config: DalleConfig):
        super().__init__()
        self.config = config
        height, width = config.grid
        self.text_embedding = nn.Embedding(config.text_vocabulary + config.text_length, config.width)
        self.text_position = nn.Embedding(config.text_length, config.width)
        self.image_embedding = nn.Embedding(config.image_vocabulary, config.width)
        self.row_position = nn.Embedding(height, config.width)
        self.column_position = nn.Embedding(width, config.width)
        for module in self.children():
            nn.init.normal_(module.weight, std=0.02)
        self.transformer = Transformer(config.transformer())
        self.text_logits = nn.Linear(config.width, config.text_vocabulary, bias=False)
        self.image_logits = nn.Linear(config.width, config.image_vocabulary, bias=False)
        for head in (self.text_logits, self.image_logits):
            nn.init.normal_(head.weight, std=0.02)

    def embed_text(self, text: Tensor) -> Tensor:
        """(batch, text_length) -> (batch, text_length, width): token plus position. Raises ReaderError for
        another shape, and for tokens that are not this model's."""
        check_tokens(text, self.text_embedding.num_embeddings)
        if text.ndim != 2:
            raise ReaderError(f"Text has the shape {tuple(text.shape)}; give it a batch: text[None].")
        if text.shape[-1] != self.config.text_length:
            raise ReaderError(
                f"Text has {text.shape[-1]} positions, this model reads {self.config.text_length}: "
                f"encode it with text_length={self.config.text_length}."
            )
        return self.text_embedding(text.long()) + self.text_position.weight

    def picture_positions(self) -> Tensor:
        """(picture_length, width): for each place its row's vector plus its column's (B.1)."""
        return (self.row_position.weight[:, None] + self.column_position.weight[None]).flatten(0, 1)

    def embed_image(self, image: Tensor) -> Tensor:
        """(batch, n) with n <= picture_length, the first n tokens -> (batch, n, width). Raises ReaderError
        for another shape, and for tokens that are not this model's."""
        check_tokens(image, self.config.image_vocabulary)
        if image.ndim != 2 or image.shape[1] > self.config.picture_length:
            raise ReaderError(
                f"Picture tokens have the shape {tuple(image.shape)}; this model takes (batch, n), n up to "
                f"{self.config.picture_length}: flatten a grid with tokens.flatten(1)."
            )
        return self.image_embedding(image.long()) + self.picture_positions()[: image.shape[1]]

    def forward(self, text: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of what comes next.

        text (batch, text_length), image (batch, n), n <= picture_length. Returns text logits (batch,
        text_length - 1, text_vocabulary) for text tokens 1, 2, ... and image logits (batch, n + 1,
        image_vocabulary) for picture tokens 0, 1, ..., n; with a whole picture the last one, which predicts
        nothing, is left out. Raises ReaderError for shapes and tokens that cannot be.
        """
        if len(text) != len(image):
            raise ReaderError(f"There are {len(text)} texts for {len(image)} pictures: give as many of both.")
        states = self.transformer(torch.cat((self.embed_text(text), self.embed_image(image)), dim=1))
        before_picture = self.config.text_length - 1
        predicting = states[:, before_picture : self.config.length - 1]
        return self.text_logits(states[:, :before_picture]), self.image_logits(predicting)

    def loss(self, text: Tensor, image: Tensor, seen: Tensor | None = None) -> dict[str, Tensor]:
        """Cross-entropy in nats a token: "text", "image", and their weighted sum "loss" (section 2.2).

        Padding is not predicted: it says nothing that a caption's reader would want to know. `seen`, of the
        shape of `image`, is what the transformer is given instead of the picture that it must predict
        (`with_noise` makes it; None: the picture itself, as in the paper).
        """
        text_logits, image_logits = self(text, image if seen is None else seen)
        if image.shape != (len(text), self.config.picture_length):
            raise ReaderError(
                f"The loss is that of whole pictures: tokens ({len(text)}, {self.config.picture_length}), "
                f"and not {tuple(image.shape)}."
            )
        check_tokens(image, self.config.image_vocabulary)
        text, image = text.long(), image.long()
        targets = text[:, 1:].masked_fill(text[:, 1:] >= self.config.text_vocabulary, -100)
        # A mean over no tokens is not a number: captions of one token each have nothing to predict.
        text_sum = F.cross_entropy(text_logits.flatten(0, 1).float(), targets.flatten(), reduction="sum")
        text_loss = text_sum / (targets >= 0).sum().clamp_min(1)
        image_loss = F.cross_entropy(image_logits.flatten(0, 1).float(), image.flatten())
        weight = self.config.text_weight
        return {
            "loss": weight * text_loss + (1 - weight) * image_loss,
            "text": text_loss,
            "image": image_loss,
        }


def with_noise(image: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """Picture tokens (batch, n), some of them exchanged for tokens from any place of one picture of the
    batch, nearly always another one: what a transformer sees that shall not trust its own drawing more than
    the text (chapter 9).

    Each picture has its own share of such tokens, uniform between 0 and `most`. Bowman et al. 2016 (section
    3.2) weaken what came before, by words left out, for the same reason. Not the paper's. Raises ReaderError
    unless 0 <= most <= 1.
    """
    if not 0 <= most <= 1:
        raise ReaderError(f"noise is {most}; it must be a share of the picture's tokens, from 0 to 1.")
    where = {"generator": generator, "device": generator.device}
    share = most * torch.rand(len(image), 1, **where)
    exchanged = torch.rand(image.shape, **where) < share
    other = torch.randperm(len(image), **where)
    place = torch.randint(image.shape[1], image.shape, **where)
    exchanged, other, place = (x.to(image.device) for x in (exchanged, other, place))
    return torch.where(exchanged, image[other].gather(1, place), image)


def empty_captions(count: int, config: DalleConfig) -> Tensor:
    """Captions without a word, all padding: (count, text_length) int64."""
    return (config.text_vocabulary + torch.arange(config.text_length)).repeat(count, 1)


def without_some_captions(
    text: Tensor, share: float, config: DalleConfig, generator: torch.Generator
) -> Tensor:
    """Captions (batch, text_length), each exchanged for the empty one with the chance `share`: so that one
    model learns what a picture looks like with and without its caption, and guidance can go from the one to
    the other (Ho & Salimans 2021; chapter 11). Not the paper's. Raises ReaderError unless 0 <= share <= 1.
    """
    if not 0 <= share <= 1:
        raise ReaderError(f"caption_dropout is {share}; it must be a share of the captions, from 0 to 1.")
    dropped = torch.rand(len(text), 1, generator=generator, device=generator.device) < share
    dropped = dropped.to(text.device)
    return torch.where(dropped, empty_captions(1, config).to(text.device), text)
