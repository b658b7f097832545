"""Checks for the exercises of chapter 11, sampling."""

import torch

from dalle_edu.exercises import Wrong, close, exercise, need, need_tensor
from dalle_edu.sampling import adjust_logits, draw_from


@exercise(without=[draw_from])
def check_draw_code(draw_code):
    """`draw_code(probabilities, u)`: the code in whose share of [0, 1) the number u falls, an int."""
    shares = torch.tensor([0.0, 0.2, 0.0, 0.5, 0.3])
    for u, wanted in ((0.05, 1), (0.19, 1), (0.21, 3), (0.69, 3), (0.71, 4), (0.99, 4), (0.0, 1)):
        found = draw_code(shares, u)
        need(found is not None, "None came back; does the function end in a return?")
        need(int(found) == found, f"a code is a whole number; {found!r} came back.")
        need(0 <= int(found) < 5, f"with u = {u} came {int(found)}, and there are only the codes 0 to 4.")
        need(
            shares[int(found)] > 0,
            f"with u = {u} the code {int(found)} was drawn, whose share of [0, 1) is empty.",
        )
        if found == 3 and wanted != 3:
            need(
                False, f"with u = {u} came 3: the most probable code is only one of those that may be drawn."
            )
        need(
            found == wanted,
            f"with the shares {shares.tolist()} and u = {u} the code {wanted} was expected, not {found}.",
        )
    # Many float32 shares need not sum to exactly 1, and u may lie above the sum.
    many = torch.full((3000,), 1 / 3000 - 1e-9)
    found = draw_code(many, 1 - 1e-7)
    need(
        0 <= int(found) < 3000,
        "rounding: the shares summed to a little less than u, and no code was found; take the last.",
    )
    generator = torch.Generator().manual_seed(0)
    shares = torch.randn(30, generator=generator).softmax(0)
    drawn = torch.tensor([int(draw_code(shares, float(u))) for u in torch.rand(3000, generator=generator)])
    off = (torch.bincount(drawn, minlength=30) / 3000 - shares).abs().max()
    need(off < 0.05, "over 3,000 draws the codes do not come as often as their probabilities say.")
    return "an exact draw from any distribution, from one uniform number."


@exercise(without=[adjust_logits])
def check_top_p(top_p_codes):
    """`top_p_codes(probabilities, p)`: (vocabulary,) bool, True for the fewest codes that hold at least p."""
    generator = torch.Generator().manual_seed(0)
    rows = [
        torch.tensor([0.05, 0.5, 0.15, 0.3]),
        *(torch.randn(40, generator=generator) * 2).softmax(0)[None],
    ]
    rows.append(torch.tensor([0.05, 0.9, 0.05]))
    for shares in rows:
        for p in (0.1, 0.6, 0.85, 1.0):
            kept = top_p_codes(shares, p)
            need_tensor(kept, shares.shape)
            need(kept.dtype == torch.bool, f"the result should hold booleans, not {kept.dtype}.")
            need(
                kept.any(),
                f"nothing is left at p = {p}; the code that crosses p belongs to those that are kept.",
            )
            wanted = adjust_logits(shares.log(), top_p=p).isfinite()
            if torch.equal(kept, wanted):
                continue
            order = shares.sort(descending=True).indices
            need(
                not torch.equal(kept, wanted.gather(0, order)),
                "the answer stands in sorted order; put it back into the order of the codes (scatter).",
            )
            need(
                shares[kept].sum() >= p - 1e-6,
                f"at p = {p} only {float(shares[kept].sum()):.2f} is kept; the one that crosses p stays.",
            )
            need(
                shares[kept].min() >= shares[~kept].max() if (~kept).any() else True,
                "an improbable code is kept and a more probable one is not; begin with the most probable.",
            )
            need(False, f"at p = {p} {int(kept.sum())} codes are kept where {int(wanted.sum())} are enough.")
    return "few codes where the model is sure, many where it is not."


@exercise(without=[torch.nn.functional.scaled_dot_product_attention])
def check_cached_attention(cached_attention):
    """`cached_attention(query, keys, values)`: one query against all keys. query (heads, d), keys and values
    (heads, n, d); returns (heads * d,)."""
    generator = torch.Generator().manual_seed(0)
    query, keys, values = (torch.randn(s, generator=generator) * 2 for s in ((3, 4), (3, 7, 4), (3, 7, 4)))
    wanted = torch.nn.functional.scaled_dot_product_attention(query[:, None], keys, values)[:, 0]
    found = cached_attention(query, keys, values)
    need_tensor(found, (12,))
    if close(found, wanted.flatten()):
        return "one position is computed; the cache supplies what the others said."
    scores = (keys @ query[:, :, None])[:, :, 0]
    without_newest = torch.nn.functional.pad((scores / 2)[:, :-1].softmax(-1), (0, 1))
    for mistake, weights in (
        ("the scores are not divided by the square root of d.", scores.softmax(-1)),
        ("the scores are divided by d, not by its square root.", (scores / 4).softmax(-1)),
        ("the softmax runs over the heads; it should run over the keys.", (scores / 2).softmax(0)),
        ("the newest key is left out; a token also reads itself.", without_newest),
    ):  # fmt: skip
        need(not close(found, (weights[:, None] @ values).flatten()), mistake)
    need(
        not close(found, wanted.T.flatten()),
        "the heads are interleaved; one head's d numbers stand together.",
    )
    raise Wrong("these are not the numbers that scaled_dot_product_attention gives.")


@exercise
def check_unseen(unseen):
    """`unseen(keep)`: how many kept tokens come after each drawn place.

    keep (height, width) bool; (height, width) int64, in raster order, 0 for kept places.
    """
    generator = torch.Generator().manual_seed(0)
    corner = torch.ones(4, 5, dtype=torch.bool)
    corner[2:, 3:] = False
    hole = torch.ones(4, 4, dtype=torch.bool)
    hole[1:3, 1:3] = False
    for keep in (corner, hole, torch.rand(5, 3, generator=generator) < 0.5):
        flat = keep.flatten()
        later = flat.flip(0).cumsum(0).flip(0)  # kept ones from here on
        wanted = torch.where(flat, 0, later).view(keep.shape)
        found = unseen(keep.clone())
        need_tensor(found, keep.shape)
        need(not found.is_floating_point(), f"numbers of tokens are whole numbers, not {found.dtype}.")
        if torch.equal(found.long(), wanted):
            continue
        need((found[keep] == 0).all(), "a kept place is not drawn: its number should be 0.")
        before = torch.where(flat, 0, flat.cumsum(0)).view(keep.shape)
        need(
            not torch.equal(found.long(), before),
            "these are the kept tokens *before* each place: the ones that it does see.",
        )
        columns = (
            torch.where(keep.T.flatten(), 0, keep.T.flatten().flip(0).cumsum(0).flip(0)).view(keep.T.shape).T
        )
        need(
            not torch.equal(found.long(), columns),
            "counted column by column; the picture is drawn row by row.",
        )
        place = (found.long() != wanted).nonzero()[0].tolist()
        need(
            False,
            f"at {tuple(place)} {int(wanted[tuple(place)])} were expected, not {int(found[tuple(place)])}.",
        )
    return "what comes later in raster order cannot be taken into account."


@exercise
def check_cache_bytes(cache_bytes):
    """`cache_bytes(layers, width, text_length, picture_length, samples, bytes_per_number)`.

    The bytes of the whole cache for `samples` pictures of one prompt, whose text is stored once.
    """
    for numbers in ((3, 8, 3, 5, 1, 4), (8, 160, 24, 256, 64, 4), (64, 3968, 256, 1024, 512, 2)):
        layers, width, text, picture, samples, size = numbers
        found = cache_bytes(*numbers)
        need(found is not None, "None came back; does the function end in a return?")
        wanted = 2 * layers * width * (text + samples * picture) * size
        need(found != wanted / 2, "half of it: keys and values are both kept.")
        need(found != 2 * layers * width * samples * (text + picture) * size or samples == 1,
             "the text is the same for all samples of a prompt: store it once.")  # fmt: skip
        need(found != wanted / size, f"these are numbers, not bytes: each takes {size}.")
        need(found != wanted / layers, "this is one layer; every layer has its own keys and values.")
        need(abs(found - wanted) < 0.5, f"for {numbers} {wanted:,} bytes were expected, not {found:,}.")
    return "what a drawing keeps in memory, and why it goes in batches."
