"""The figures to touch of chapters 6, 7 and 10: attention in six words, merges, the learning rate."""

import torch
from explore.javascript import node_test
from torch.nn.functional import scaled_dot_product_attention

from dalle_edu.tokens import learn_merges, split, words
from dalle_edu.train.loop import TrainingConfig, learning_rate

CAPTIONS = ["a red apple", "red apples", "a reader reads", "an apple tree", "café"]


def attention_cases():
    generator = torch.Generator().manual_seed(0)
    for causal, sharpness in ((True, 1.0), (False, 1.0), (True, 2.5), (False, 0.0)):
        queries, keys, values = (torch.randn(6, size, generator=generator) for size in (3, 3, 2))
        mask = torch.ones(6, 6).tril().bool() if causal else torch.ones(6, 6).bool()
        attend = {"attn_mask": mask, "scale": sharpness / 3**0.5}
        weights = scaled_dot_product_attention(queries, keys, torch.eye(6), **attend)
        out = scaled_dot_product_attention(queries, keys, values, **attend)
        states = {"queries": queries, "keys": keys, "values": values, "causal": causal}
        yield states | {"sharpness": sharpness, "weights": weights, "out": out}


def merge_cases(merges):
    for caption in CAPTIONS:
        for count in (0, 1, len(merges) // 2, len(merges)):
            pieces = split(caption, merges[:count])
            later = range(count + 1, len(merges) + 1)
            changes = (more for more in later if len(split(caption, merges[:more])) < len(pieces))
            yield {
                "words": [word.decode("latin-1") for word in words(caption)],
                "count": count,
                "pieces": [piece.decode("latin-1") for piece in pieces],
                "next": next(changes, len(merges)),
            }


def test_words_merges_and_rates_are_calculated_as_in_python(tmp_path):
    merges = learn_merges(CAPTIONS, 275)
    config = TrainingConfig(steps=100, batch_size=1, learning_rate=2e-3, final_learning_rate=1e-5, warmup=10)
    rates = [learning_rate(step, config) for step in range(100)]
    cases = {
        "attention": list(attention_cases()),
        "merges": {
            "merges": [[piece.decode("latin-1") for piece in pair] for pair in merges],
            "captions": list(merge_cases(merges)),
        },
        "schedule": {
            "schedule": {"steps": 100, "warmup": 10, "peak": 2e-3, "end": 1e-5},
            "rates": rates,
            "behind": sum(rates[:31]) / sum(rates),
        },
    }
    node_test("words", cases, tmp_path)
