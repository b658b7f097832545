"""CLIP scores pictures against a text; of many samples the best are shown (chapter 12).

    loss = 1/2 [cross-entropy over the rows + over the columns] of  exp(t) * cos(picture_i, text_j)

Radford et al. 2021; Ramesh et al. 2021, section 2.6 (512
samples, ranked). The model and the loss are open_clip's own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dalle_edu.autoencoder import check_images
from dalle_edu.configs.checked import Count, checked
from dalle_edu.errors import ReaderError
from dalle_edu.tokens import CaptionTokenizer

ALL = slice(None)  # rows of a batch


@checked("clip")
class ClipConfig:
    """Shape of a small CLIP, handed to open_clip: two transformers with a shared embedding."""

    embedding: Count
    width: Count
    depth: Count
    heads: Count
    patch_size: Count
    image_size: Count
    text_width: Count
    text_depth: Count
    text_heads: Count
    text_length: Count

    def __post_init__(self):
        for name, divisor in (("width", "heads"), ("text_width", "text_heads"), ("image_size", "patch_size")):
            whole, part = getattr(self, name), getattr(self, divisor)
            if whole % part:
                raise ReaderError(
                    f"{name} {whole} in [clip] is no multiple of {divisor} {part}: change either."
                )


class PictureClip(nn.Module):
    """open_clip's CLIP at a small size, reading this book's pictures and tokens.

    The number of word pieces is `vocabulary`; two more numbers
    mark the end of the text and the empty places after it.
    """

    def __init__(self, config: ClipConfig, vocabulary: int):
        super().__init__()
        from open_clip.model import CLIP  # slow to import, and only needed here

        self.config, self.vocabulary = config, vocabulary
        self.empty, self.end = vocabulary, vocabulary + 1  # open_clip pools at the highest number: the end
        self.clip = CLIP(
            embed_dim=config.embedding,
            vision_cfg={
                "layers": config.depth,
                "width": config.width,
                "head_width": config.width // config.heads,
                "patch_size": config.patch_size,
                "image_size": config.image_size,
            },
            text_cfg={
                "context_length": config.text_length + 1,
                "vocab_size": vocabulary + 2,
                "width": config.text_width,
                "heads": config.text_heads,
                "layers": config.text_depth,
            },
        )

    def text_tokens(self, text: Tensor) -> Tensor:
        """`CaptionTokenizer.encode`'s (batch, text_length) -> (batch, text_length + 1), the end marked."""
        text = text.masked_fill(text >= self.vocabulary, self.empty)
        text = F.pad(text, (0, 1), value=self.empty)
        ends = (text != self.empty).sum(1, keepdim=True)
        return text.scatter(1, ends, self.end)

    def forward(self, images: Tensor, text: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Embeddings of length 1, (batch, embedding) each, and exp(t), the learned scale, at most 100. Raises
        ReaderError for pictures or texts of another shape."""
        check_images(images, self.config.image_size)
        if text.ndim != 2 or text.shape[1] != self.config.text_length:
            raise ReaderError(
                f"The texts have the shape {tuple(text.shape)}, expected {self.config.text_length} tokens "
                f"each: encode them with text_length={self.config.text_length}."
            )
        scale = self.clip.logit_scale.exp().clamp(max=100)
        pictures = self.clip.encode_image(images * 2 - 1, normalize=True)
        return pictures, self.clip.encode_text(self.text_tokens(text), normalize=True), scale

    def loss(
        self, images: Tensor, text: Tensor, wrong: Tensor | None = None, counts: Tensor | None = None
    ) -> dict[str, Tensor]:
        """The symmetric contrastive loss of a batch of pairs, in nats: "loss"; and "accuracy", how often the
        right text is the nearest. Pairs with equal texts count as each other's mistake: rare in a batch that
        is drawn at random.

        `wrong` (M, 3, size, size) are pictures that no text belongs to, among which each text must find its
        own as well; `counts` (M,) bool says which of them are in the quiz (None: all).
        """
        pictures, texts, scale = self(images, text)
        others = None if wrong is None else self.embed_pictures(wrong)
        return self.compare(pictures, texts, scale, others, counts)

    def embed_pictures(self, images: Tensor) -> Tensor:
        """Pictures (N, 3, size, size) in [0, 1] -> embeddings of length 1, (N, embedding)."""
        check_images(images, self.config.image_size)
        return self.clip.encode_image(images * 2 - 1, normalize=True)

    @staticmethod
    def compare(
        pictures: Tensor,
        texts: Tensor,
        scale: Tensor,
        others: Tensor | None,
        counts: Tensor | None,
        rows: slice = ALL,
    ) -> dict[str, Tensor]:
        """`loss` from the embeddings of its arguments. Of some `rows` of the batch: what they add to it, so
        that slices which make up the batch have its loss and accuracy as their sums."""
        from open_clip.loss import ClipLoss

        n = len(pictures)
        right = torch.arange(n, device=pictures.device)[rows]
        accuracy = ((pictures[rows] @ texts.T).argmax(1) == right).sum() / n
        if others is None and rows == ALL:
            return {"loss": ClipLoss()(pictures, texts, scale), "accuracy": accuracy}
        by_picture = scale * pictures[rows] @ texts.T
        among = pictures if others is None else torch.cat((pictures, others))
        by_text = scale * texts[rows] @ among.T  # (rows, batch + M)
        if others is not None and counts is not None:
            kept = F.pad(counts, (n, 0), value=True)
            by_text = by_text.masked_fill(~kept, -math.inf)
        both = [F.cross_entropy(logits, right, reduction="sum") for logits in (by_picture, by_text)]
        return {"loss": (both[0] + both[1]) / (2 * n), "accuracy": accuracy}

    @torch.inference_mode()
    def scores(self, images: Tensor, text: Tensor, batch: int = 64) -> Tensor:
        """Cosine of each picture with its text: (N, 3, size, size), (N or 1, text_length) -> (N,). Raises
        ReaderError for other shapes, and for pictures with numbers that are none: they have no rank."""
        check_images(images, self.config.image_size)
        if not images.isfinite().all():
            raise ReaderError("A picture holds numbers that are none (NaN or infinity): it has no score.")
        text = text.expand(len(images), -1) if len(text) == 1 else text
        if len(text) != len(images):
            raise ReaderError(
                f"There are {len(text)} texts for {len(images)} pictures: give one, or as many."
            )
        out = []
        for i in range(0, len(images), batch):
            part = text[i : i + batch]
            pictures, texts, _ = self(images[i : i + batch], part)
            out.append((pictures * texts).sum(1))
        return torch.cat(out)


def rank(scores: Tensor) -> Tensor:
    """Indices of the samples, best first; equal scores keep the order of drawing: (N,) -> (N,)."""
    return scores.sort(descending=True, stable=True).indices


def chance_to_win(pool: int, n: int) -> Tensor:
    """Of n samples taken at random from a ranked pool the best is shown: the chance of each rank to be it.

    Returns (pool,) float64, best rank first. Rank r (0: the best) wins when it is taken and the other n - 1
    all come from the pool - 1 - r behind it: C(pool - 1 - r, n - 1) / C(pool, n). Raises ReaderError unless
    1 <= n <= pool.
    """
    if not 1 <= n <= pool:
        raise ReaderError(f"The best of {n} cannot be taken from a pool of {pool} samples: n is 1 to {pool}.")
    ways = math.comb(pool, n)  # whole numbers of any length, so that nothing is rounded before the division
    return torch.tensor([math.comb(pool - 1 - r, n - 1) / ways for r in range(pool)], dtype=torch.float64)


def expected_best(scores: Tensor, values: Tensor, n: int) -> float:
    """What best of n gives on average, over all ways of taking n samples from a pool.

    The mean of `values` (pool,) at the sample that `scores` (pool,) put first. Scores as values say how the
    score itself rises; values as scores, what a perfect ranking would reach. Raises ReaderError for n outside
    1 to pool, and for other shapes.
    """
    if scores.ndim != 1 or scores.shape != values.shape:
        shapes = f"{tuple(scores.shape)} and {tuple(values.shape)}"
        raise ReaderError(f"Scores and values need one number a sample, (pool,) both; these are {shapes}.")
    return float((chance_to_win(len(scores), n) * values[rank(scores)].double()).sum())


class PretrainedClip:
    """A CLIP with open_clip's own weights and preprocessing, with the same `scores` as `PictureClip`.

    `name` is one of `open_clip.list_models()`, "ViT-B-32" for one; `weights` a file that the reader has, or
    the name of published weights, which open_clip then fetches. Raises ReaderError for names that open_clip
    does not know and files that are not there.
    """

    def __init__(self, name: str, weights: str | Path):
        import open_clip

        if name not in open_clip.list_models():
            raise ReaderError(
                f"open_clip has no model {name!r}; open_clip.list_models() lists them, 'ViT-B-32' is one."
            )
        published = [tag for model, tag in open_clip.list_pretrained() if model == name]
        if str(weights) not in published and not Path(weights).is_file():
            tags = ", ".join(published[:4]) or "none"
            tags += f" and {len(published) - 4} more" * (len(published) > 4)
            raise ReaderError(f"{str(weights)!r} is neither a file nor published weights of {name} ({tags}).")
        try:
            # open_clip loads files with torch.load(weights_only=True): nothing in them is executed.
            made = open_clip.create_model_and_transforms(name, pretrained=str(weights))
        except Exception as error:  # a damaged file raises what its damaged byte asks for
            raise ReaderError(
                f"{weights} holds no weights of {name} that can be read: get it again, or another file."
            ) from error
        self.model, _, self.preprocess = made
        self.model.eval()
        self.tokenizer = open_clip.get_tokenizer(name)

    @torch.inference_mode()
    def scores(self, images: Tensor, captions: Sequence[str], batch: int = 16) -> Tensor:
        """Cosine of each picture (N, 3, size, size) in [0, 1] with its caption, N of them or one for all."""
        from torchvision.transforms.functional import to_pil_image

        captions = list(captions) * (len(images) if len(captions) == 1 else 1)
        out = []
        for i in range(0, len(images), batch):
            pictures = torch.stack([self.preprocess(to_pil_image(p)) for p in images[i : i + batch]])
            pictures = F.normalize(self.model.encode_image(pictures), dim=-1)
            texts = F.normalize(self.model.encode_text(self.tokenizer(captions[i : i + batch])), dim=-1)
            out.append((pictures * texts).sum(1))
        return torch.cat(out)


def build_clip(config: ClipConfig | None, tokenizer: CaptionTokenizer) -> PictureClip:
    """The CLIP of a configuration. Raises ReaderError where it has none."""
    if config is None:
        raise ReaderError("This configuration has no [clip] section, so nothing can rank samples.")
    return PictureClip(config, tokenizer.vocabulary)
