"""Checks for the exercises of chapter 12, CLIP and reranking."""

import math

import torch
import torch.nn.functional as F
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from dalle_edu.exercises import close, exercise, need, need_tensor
from dalle_edu.reranking import chance_to_win, expected_best, rank


def _generator(seed):
    return torch.Generator().manual_seed(seed)


def _number(value, name="the result"):
    need(value is not None, f"{name} is None; does the function end in a return?")
    value = torch.as_tensor(value)
    need(value.numel() == 1, f"{name} should be one number, but has shape {tuple(value.shape)}.")
    return float(value)


def _recall(similarities, k):
    own = similarities.diagonal()[:, None]
    return float(((similarities > own).sum(1) < k).float().mean())


@exercise
def check_recall(recall):
    """`recall(similarities, k)`: the share of pictures (rows) whose own caption is among the k nearest."""
    for seed, count, k in ((0, 12, 1), (1, 12, 3), (2, 30, 5), (3, 7, 7)):
        similarities = torch.randn(count, count, generator=_generator(seed)) + torch.eye(count)
        value, wanted = _number(recall(similarities.clone(), k)), _recall(similarities, k)
        hits = (similarities.argsort(1, descending=True)[:, :k] == torch.arange(count)[:, None]).sum()
        need(not (count > 1 and close(value, float(hits))), "that is how many; the share is asked for.")
        turned, one = _recall(similarities.T, k), _recall(similarities, 1)
        off, least = _recall(similarities, k + 1), _recall(-similarities, k)
        need(
            close(value, wanted) or not close(value, turned),
            "that asks which pictures are nearest to a caption; rows are pictures: look along dimension 1.",
        )
        need(close(value, wanted) or not close(value, one), "k is not used: the own caption may be k-th.")
        need(close(value, wanted) or not close(value, off), "that counts the k + 1 nearest.")
        need(close(value, wanted) or not close(value, least), "those are the k farthest: sort falling.")
        need(close(value, wanted), f"for {count} pictures and k = {k} it is {wanted:.3f}, not {value:.3f}.")
    return "recall at k, the field's usual measure of a CLIP."


def _loss(pictures, texts, scale, same):
    logits = scale * pictures @ texts.T
    right = torch.arange(len(logits))
    rows = logits.masked_fill(same & ~torch.eye(len(logits), dtype=torch.bool), -math.inf)
    return (F.cross_entropy(rows, right) + F.cross_entropy(rows.T, right)) / 2


@exercise
def check_loss_without_twins(loss_without_twins):
    """`loss_without_twins(pictures, texts, scale, same)`: as CLIP's, but equal captions are no mistakes."""
    for seed, captions in ((0, [0, 1, 2, 3]), (1, [0, 1, 0, 2, 1, 0]), (2, [0, 0, 1, 2, 3])):
        captions = torch.tensor(captions)
        same = captions[:, None] == captions
        pictures = F.normalize(torch.randn(len(captions), 8, generator=_generator(seed)), dim=1)
        texts = F.normalize(torch.randn(4, 8, generator=_generator(seed + 9)), dim=1)[captions]
        for scale in (1.0, 1 / 0.07, 100.0):
            value = _number(loss_without_twins(pictures, texts, torch.tensor(scale), same.clone()))
            wanted = float(_loss(pictures, texts, scale, same))
            need(
                math.isfinite(value),
                f"{value} came out: is a picture's own caption left out? `same` is True on the diagonal.",
            )
            logits, right = scale * pictures @ texts.T, torch.arange(len(captions))
            plain = float(_loss(pictures, texts, scale, torch.eye(len(captions), dtype=torch.bool)))
            masked = logits.masked_fill(same ^ torch.eye(len(captions), dtype=torch.bool), -math.inf)
            zero = logits.masked_fill(same ^ torch.eye(len(captions), dtype=torch.bool), 0.0)
            known = {
                "twins still count as mistakes: keep them out of both softmaxes.": plain,
                "only the rows are there; captions have to find their pictures, too: average with the "
                "columns.": float(F.cross_entropy(masked, right)),
                "only the columns are there; average with the rows.": float(F.cross_entropy(masked.T, right)),
                "the two directions are added; the loss is their mean.": 2 * wanted,
                "a logit of 0 still has a share of the softmax, exp(0) = 1; set it to -inf.": float(
                    (F.cross_entropy(zero, right) + F.cross_entropy(zero.T, right)) / 2
                ),
                "the cosines are not multiplied with the scale.": float(_loss(pictures, texts, 1.0, same)),
            }
            for message, wrong in known.items():
                need(close(value, wanted) or not close(value, wrong), message)
            need(
                close(value, wanted),
                f"with captions {captions.tolist()} it is {wanted:.3f}, not {value:.3f}.",
            )
    return "no picture is punished for a caption that is right for it."


@exercise(without=[expected_best, chance_to_win])
def check_any_right(any_right):
    """`any_right(right, pool, n)`: the chance that of n samples from a pool at least one is right."""
    for right, pool, n in (
        (1, 4, 2),
        (3, 10, 4),
        (5, 512, 64),
        (0, 20, 5),
        (6, 6, 1),
        (9, 12, 6),
        (2, 2000, 999),
    ):
        value = _number(any_right(right, pool, n))
        wanted = 1 - math.comb(pool - right, n) / math.comb(pool, n)
        case = f"with {right} right in a pool of {pool}, {n} taken,"
        need(close(value, wanted, 1e-6) or not close(value, 1 - wanted, 1e-6), "that is the chance of none.")
        replaced = 1 - (1 - right / pool) ** n
        need(
            close(value, wanted, 1e-6) or not close(value, replaced, 1e-6),
            "that puts every sample back before the next is taken; here n different ones are taken.",
        )
        need(
            close(value, wanted, 1e-6) or not close(value, min(1.0, n * right / pool), 1e-6),
            "chances of events that can happen together do not add up; count the ways to take none.",
        )
        need(close(value, wanted, 1e-6), f"{case} it is {wanted:.4f}, not {value:.4f}.")
    return "what a perfect ranking could reach: no choice shows a right one that was not drawn."


class _Largest(TorchDispatchMode):
    """Remembers how many numbers the largest tensor has that is made meanwhile."""

    numbers = 0

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        made = operation(*arguments, **(options or {}))
        for one in made if isinstance(made, (tuple, list)) else (made,):
            if isinstance(one, torch.Tensor):
                self.numbers = max(self.numbers, one.untyped_storage().nbytes() // one.element_size())
        return made


@exercise
def check_keep_best(keep_best):
    """`keep_best(batches, k)`: of batches (images, scores) the k best images and scores, best first."""
    side, most = 4, 6
    for seed, sizes, k in ((0, [6] * 20, 4), (1, [5, 6, 1, 3], 8), (2, [6], 3), (3, [2, 2], 9)):
        scores = torch.rand(sum(sizes), generator=_generator(seed)).split(sizes)
        lent: list[tuple[StorageWeakRef, int]] = []

        def batches(scores=scores, lent=lent, k=k):
            start = 0
            for part in scores:
                held = sum(count for batch, count in lent if not batch.expired())
                need(
                    held <= k + 2 * most,
                    f"{held} pictures are held for a best {k}: let each batch go once its best are copied.",
                )
                places = torch.arange(start, start + len(part)).float()
                images = places[:, None, None, None].expand(-1, 3, side, side).clone()
                lent.append((StorageWeakRef(images.untyped_storage()), len(part)))
                start += len(part)
                yield images, part.clone()
                del images

        largest = _Largest()
        with largest:
            value = keep_best(batches(), k)
        need(value is not None, "the result is None; does the function end in a return?")
        need(isinstance(value, (tuple, list)) and len(value) == 2, "return two tensors: images and scores.")
        images, kept = value
        every = torch.cat(scores)
        order = rank(every)[:k]
        need_tensor(kept, (len(order),), "the scores")
        need_tensor(images, (len(order), 3, side, side), "the images")
        need(not close(kept, every[rank(-every)[:k]]), "those are the worst: sort falling.")
        need(close(kept.sort().values, every[order].sort().values), f"these are not the {k} highest scores.")
        need(close(kept, every[order]), "the scores are the right ones, but not best first.")
        need(
            torch.equal(images[:, 0, 0, 0], order.float()),
            "scores and images do not belong together: reorder both with the same indices.",
        )
        need(
            largest.numbers <= (k + 2 * most) * 3 * side**2,
            f"a tensor of {largest.numbers // (3 * side**2)} pictures was made for a best {k}: cut after "
            "each batch.",
        )
    return "memory stays that of one batch and the best, however many are drawn."
