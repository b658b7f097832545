"""Checks for the exercises of chapter 9, training DALL·E."""

import math

import torch
import torch.nn.functional as F

from dalle_edu.dalle import Dalle, with_noise
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


@exercise
def check_frequency_cost(frequency_cost):
    """`frequency_cost(train, unseen, vocabulary, extra)`: mean nats a token of `unseen`, from how often
    each code stands in `train`; each code counts as if it had been met `extra` times more.

    train and unseen (pictures, N) int64.
    """
    train = torch.tensor([[0, 0, 0, 1], [0, 2, 0, 1]])
    unseen = torch.tensor([[0, 3, 1, 0], [2, 0, 0, 4]])
    for vocabulary, extra in ((5, 1.0), (9, 0.1)):
        value = frequency_cost(train, unseen, vocabulary, extra)
        need(value is not None, "the result is None; does the function end in a return?")
        value = torch.as_tensor(value).float()
        need(value.shape == (), f"one number is expected, not shape {tuple(value.shape)}.")
        counts = train.flatten().bincount(minlength=vocabulary)
        share = (counts + extra) / (counts + extra).sum()
        each = -share[unseen].log()
        need(
            bool(torch.isfinite(value)),
            "the cost is infinite: a code that training never showed has the share 0; add `extra` first.",
        )
        need(not close(value, each.sum()), "that is the sum; divide by the number of tokens.")
        need(not close(value, each.mean() / math.log(2)), "that is in bits; nats have the natural logarithm.")
        loose = -((counts + extra) / counts.sum())[unseen].log().mean()
        need(
            not close(value, loose), "the shares sum to more than 1: divide by the sum after adding `extra`."
        )
        need(
            not close(value, -(share * share.log()).sum()), "that is the entropy of `train`; pay on `unseen`."
        )
        need(
            close(value, each.mean()), f"{float(each.mean()):.3f} nats were expected, not {float(value):.3f}."
        )
    return "counted on training pictures, paid on others."


@exercise(without=[with_noise])
def check_noisy(noisy):
    """`noisy(image, exchanged, other, place)`: the tokens that the transformer sees.

    image (batch, N); where `exchanged` (batch, N) is True, token j of picture b becomes the token at
    place[b, j] of picture other[b]. other (batch,), place (batch, N).
    """
    image = torch.arange(24).view(3, 8)
    exchanged = torch.rand(3, 8, generator=_generator(0)) < 0.4
    other = torch.tensor([2, 0, 1])
    place = torch.randint(8, (3, 8), generator=_generator(1))
    before = image.clone()
    found = noisy(image, exchanged, other, place)
    need_tensor(found, (3, 8))
    need(torch.equal(image, before), "`image` itself was changed; it is still what must be predicted.")
    wanted = torch.where(exchanged, image[other].gather(1, place), image)
    need(
        not torch.equal(found, torch.where(exchanged, image, image[other].gather(1, place))),
        "it is turned: where `exchanged` is False the picture's own token stays.",
    )
    need(
        not torch.equal(found, torch.where(exchanged, image.gather(1, place), image)),
        "the tokens come from the same picture; `other` says from which one.",
    )
    need(
        not torch.equal(found, torch.where(exchanged, image[other], image)),
        "the tokens come from the same place of the other picture; `place` says from where.",
    )
    need(torch.equal(found, wanted), f"{int((found != wanted).sum())} of 24 tokens differ.")
    return "what it sees has mistakes; what it must predict has none."
