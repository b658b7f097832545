"""What the explorers calculate in the browser, run by Node against arrays of the library."""

import numpy as np
import torch
from explore.javascript import node_test

from dalle_edu.autoencoder import latent_grid
from dalle_edu.explore.attention import _encode
from dalle_edu.explore.best_of import winners
from dalle_edu.explore.masks import encode_mask
from dalle_edu.explore.tiles import computed_pairs
from dalle_edu.gumbel import gumbel_noise
from dalle_edu.masks import KINDS, attention_mask
from dalle_edu.sampling import adjust_logits

GENERATOR = torch.Generator().manual_seed(0)


def test_the_kit_reads_what_python_stored(tmp_path):
    rng = np.random.default_rng(0)
    masks = [rng.random((length, length)) < share for length in (1, 7, 20) for share in (0.0, 0.1, 0.5, 1.0)]
    for kind in KINDS:
        masks += [
            attention_mask(kind, text, grid, 5).numpy()
            for text, grid in ((6, (4, 4)), (0, (3, 5)), (3, (8, 8)))
        ]
    logits = torch.randn(5, 9, generator=GENERATOR) * torch.tensor([[0.0], [1], [10], [100], [1000]])
    cases = {
        "masks": [{"code": encode_mask(mask), "mask": mask} for mask in masks],
        "logits": logits.double(),
        "softmax": logits.double().softmax(1),
    }
    node_test("kit", cases, tmp_path)


def test_the_mask_explorer_counts_and_measures_as_the_matrices_do(tmp_path):
    text, grid = 3, (4, 4)
    masks = [attention_mask(kind, text, grid, 3) for kind in ("row", "column", "conv", "row")]
    length = len(masks[0])
    found = []
    for query in (0, 8, length - 1):
        for layers in (1, 2, 4):
            # Reachable through the last n of the layers: products of the masks, each with the residual path.
            far, reach = torch.full((length,), -1), torch.eye(length)[query]
            far[query] = 0
            for steps, mask in enumerate(reversed(masks[:layers]), start=1):
                reach = reach @ (mask.float() + torch.eye(length))
                far = torch.where((far < 0) & (reach > 0), steps, far)
            found.append({"query": query, "layers": layers, "far": far})
    readings = []
    for number, mask in enumerate(masks):
        for query in (1, 5, 12):
            keys = mask[query].nonzero().flatten()
            counts = {
                "text": int((keys < text).sum()),
                "earlier": int(((keys >= text) & (keys < query)).sum()),
                "itself": int(mask[query, query]),
                "future": int(((keys >= text) & (keys > query)).sum()),
            }
            readings.append({"mask": number, "query": query, "counts": counts})
    codes = [encode_mask(mask) for mask in masks]
    # `Dalle` gives image logits for position text - 1 and after; each names the position that comes next.
    predicted = [query + 1 if text - 1 <= query < length - 1 else -1 for query in range(length)]
    cases = {"codes": codes, "length": length, "text": text, "distances": found, "readings": readings}
    cases["predicted"] = predicted
    node_test("masks", cases, tmp_path)


def test_the_attention_explorer_reads_the_stored_weights(tmp_path):
    weights = np.random.default_rng(1).dirichlet(np.full(11, 0.3), size=(4, 11)).astype(np.float32)
    codes = [_encode(head) for head in weights]
    node_test("attention", {"weights": weights, "codes": codes, "mean": weights.mean(0)}, tmp_path)


def test_the_dials_calculate_what_the_module_calculates(tmp_path):
    dials = []
    for temperature, k, p in (
        (1, 0, 1),
        (0.5, 4, 1),
        (1.5, 0, 0.6),
        (0.7, 6, 0.8),
        (2, 1, 1),
        (0.05, 0, 0.05),
    ):
        for logits in torch.randn(3, 40, generator=GENERATOR).double() * 3:
            shares = adjust_logits(logits, temperature, k, p).softmax(0)
            bits = torch.distributions.Categorical(shares).entropy() / np.log(2)
            settings = {"temperature": temperature, "topK": k, "topP": p}
            dials.append({"logits": logits, **settings, "shares": shares, "bits": bits})
    node_test("dials", {"dials": dials}, tmp_path)


def tile_cases():
    text, grid, kernel = 3, (6, 6), 5
    for kind in ("row", "column", "conv"):
        needed = attention_mask(kind, text, grid, kernel)
        for form in ("dense", "gather", "blocked"):
            computed = computed_pairs(kind, text, grid, kernel, form)
            blocked = computed_pairs(kind, text, grid, kernel, "blocked")
            codes = {"code": encode_mask(blocked), "needed": encode_mask(needed)}
            codes["computed"] = encode_mask(computed)
            yield codes | {"form": form, "text": text, "length": len(needed)}


def test_the_other_explorers_calculate_what_python_calculates(tmp_path):
    simplex = []
    for temperature in (0.05, 1.0, 8.0):
        logits, noise = torch.randn(3, generator=GENERATOR), gumbel_noise(torch.empty(20, 3), GENERATOR)
        shares = ((logits + noise) / temperature).softmax(1)
        simplex.append({"logits": logits, "noise": noise, "temperature": temperature, "shares": shares})
    cosines = torch.randperm(35, generator=GENERATOR).view(5, 7) * 20
    similarity = {
        "cosines": cosines,
        "scale": 14.3,
        "nearest": cosines.argmax(1),
        "place": 1 + (cosines[:, None, :] > cosines[:, :, None]).sum(-1),
        "share": (14.3 * cosines.double() / 1000).softmax(1),
    }
    tokens = torch.randint(0, 6, (2, 3, 4), generator=GENERATOR)
    asked = [{"code": code, "places": (tokens == code).nonzero()} for code in range(7)]
    points = latent_grid((-2.0, -1.0), (2.0, 3.0), 5).view(
        5, 5, 2
    )  # rows from the top, columns from the left
    latent = {"low": [-2, -1], "high": [2, 3], "steps": 5}
    latent["values"] = [points[0, :, 0], points[:, 0, 1].flip(0)]
    nats = torch.rand(30, generator=GENERATOR) * 5
    scores, right = torch.rand(20, generator=GENERATOR), torch.rand(20, generator=GENERATOR) < 0.4
    best = {"scores": scores, "best": winners(scores), "highest": scores.cummax(0).values}
    cases = {
        "simplex": simplex,
        "similarity": similarity,
        "tiles": list(tile_cases()),
        "codebook": {"tokens": tokens, "asked": asked},
        "latent": latent,
        "losses": {"nats": nats, "cumulative": nats.cumsum(0), "dear": nats.argmax()},
        "best": best | {"right": right, "counts": right.cumsum(0)},
    }
    node_test("explorers", cases, tmp_path)
