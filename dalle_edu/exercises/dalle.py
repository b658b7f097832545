"""Checks for the exercises of chapter 9, training DALL·E."""

import torch
import torch.nn.functional as F

from dalle_edu.dalle import Dalle
from dalle_edu.exercises import close, exercise, need, need_tensor


def _generator(seed):
    return torch.Generator().manual_seed(seed)


@exercise(without=[Dalle.loss])
def check_joint_loss(joint_loss):
    """`joint_loss(text_logits, image_logits, text, image, text_weight)`: the loss of section 2.2, one number.

    text_logits (batch, T - 1, V), image_logits (batch, N,
    K), text (batch, T), padding from V, image (batch, N).
    """
    batch, text_length, pieces, places, codes = 3, 7, 11, 6, 13
    text_logits = 2 * torch.randn(batch, text_length - 1, pieces, generator=_generator(0))
    image_logits = 2 * torch.randn(batch, places, codes, generator=_generator(1))
    text = torch.randint(pieces, (batch, text_length), generator=_generator(2))
    for row, length in enumerate((2, 4, 7)):
        text[row, length:] = pieces + torch.arange(length, text_length)
    image = torch.randint(codes, (batch, places), generator=_generator(3))
    for weight in (1 / 8, 0.4):
        value = joint_loss(text_logits, image_logits, text, image, weight)
        need(value is not None, "the result is None; does the function end in a return?")
        need_tensor(torch.as_tensor(value), (), "the loss")
        targets = text[:, 1:].masked_fill(text[:, 1:] >= pieces, -100)
        each = F.cross_entropy(text_logits.mT, targets, reduction="none")  # 0 at padding
        written = targets >= 0
        text_loss = each.sum() / written.sum()
        image_each = F.cross_entropy(image_logits.transpose(1, 2), image, reduction="none")
        image_loss = image_each.mean()

        def joined(part, weight=weight, image_loss=image_loss):
            return weight * part + (1 - weight) * image_loss

        need(
            not close(value, joined(text_loss, 1 - weight)),
            "the weights are swapped: the text's is `text_weight`, the picture has the rest.",
        )
        need(
            not close(value, joined(each.mean())),
            "the text's sum is divided by all places, padding included; divide by the pieces that count.",
        )
        per_caption = (each.sum(1) / written.sum(1)).mean()
        need(
            not close(value, joined(per_caption)),
            "the text is averaged in each caption first, so that a short one counts as much as a long one; "
            "average over all word pieces of the batch.",
        )
        pooled = (each.sum() + image_each.sum()) / (written.sum() + image.numel())
        need(
            not close(value, pooled) and not close(value, text_loss + image_loss),
            "each part has a mean of its own, and `text_weight` weighs the two means.",
        )
        early = text[:, :-1].masked_fill(text[:, :-1] >= pieces, -100)
        need(
            not close(value, joined(F.cross_entropy(text_logits.transpose(1, 2), early))),
            "the text is off by one: logits i were made at position i and predict token i + 1, text[:, 1:].",
        )
        need(
            not close(value, weight * each.sum() + (1 - weight) * image_each.sum()),
            "sums where means belong: each part is divided by its own count.",
        )
        need(
            close(value, joined(text_loss)),
            f"for text_weight = {weight:g} it is {float(joined(text_loss)):.3f}, not {float(value):.3f}.",
        )
    return "two means, each over its own tokens, and the text weighs what you say."
