"""The figures of chapter 13: what they show is what was drawn and judged."""

import json

import matplotlib.pyplot as plt
import pytest
import torch
from toy import loaded_model

from dalle_edu.errors import ReaderError
from dalle_edu.evaluate.figures import verdicts
from dalle_edu.explore import (
    ability_explorer,
    examine,
    plot_abilities,
    plot_case,
    plot_firsts,
    plot_properties,
    verdict_words,
)


@pytest.fixture(scope="module")
def cases():
    return examine(loaded_model(), "attributes", captions=2, samples=3) + examine(
        loaded_model(), "inside", 1, 3
    )


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def figures():
    row = {"all": [3, 10], "shape": [5, 10], "colour": [9, 10], "shape+colour": [4, 10]}
    kinds = dict.fromkeys(("single", "careful", "real", "ceiling", "chance"), row)
    best = {"8": {"captions": 10, "right": [6, 10], "drawn": [30, 80], "possible": [9, 10]}}
    return {"families": {name: {"samples": 10, "best": best, **kinds} for name in ("attributes", "people")}}


def test_a_case_holds_its_pictures_and_a_verdict_on_each(cases):
    assert [case.family for case in cases] == ["attributes", "attributes", "inside"]
    for case in cases:
        assert len(case.pictures) == len(case.said) == 5 and len(case.drawn) == 3
        assert case.said == verdicts(case.family, case.pictures, [case.caption] * 5)
        assert torch.equal(case.pictures[0], case.real)
    scores = loaded_model().score(cases[0].drawings, cases[0].caption)
    assert torch.equal(scores, scores.sort(descending=True).values)


def test_the_same_seed_examines_the_same_and_another_one_does_not(cases):
    again, other = (examine(loaded_model(), "attributes", 2, 3, seed)[0] for seed in (0, 1))
    assert torch.equal(again.pictures, cases[0].pictures) and again.said == cases[0].said
    assert other.caption != again.caption or not torch.equal(other.drawings, again.drawings)


def test_words_name_what_is_wrong_and_only_that():
    assert verdict_words({"shape": True, "all": True, "shape+colour": False}) == "✓"
    assert (
        verdict_words({"shape": False, "skin_tone": False, "all": False, "all, pairs": False})
        == "✗ shape, skin tone"
    )
    assert verdict_words({"shape": True, "all": False}) == "✗ something else as well"


def test_every_static_figure_draws_and_returns_none(cases):
    calls = [
        lambda ax: plot_case(cases[0], ax=ax),
        lambda ax: plot_firsts(cases, ax=ax),
        lambda ax: plot_abilities(figures(), ax=ax),
        lambda ax: plot_properties(figures()["families"]["people"], ax=ax),
    ]
    for call in calls:
        _, ax = plt.subplots()
        assert call(ax) is None
        assert ax.has_data() or ax.images


def test_a_rate_stands_at_its_height_and_sums_have_no_place_of_their_own():
    _, ax = plt.subplots()
    plot_properties(figures()["families"]["people"], ax=ax)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["everything", "shape", "colour"]
    heights = {round(float(y), 3) for line in ax.lines for y in line.get_ydata()}
    assert {0.3, 0.5, 0.9} <= heights and 0.4 not in heights


def test_a_family_that_is_always_right_has_an_interval_too_and_a_long_name_has_two_lines():
    rows = figures()
    rows["families"]["things: counts"] = rows["families"].pop("people")
    right = dict.fromkeys(("single", "careful", "real", "ceiling", "chance"), {"all": [58, 58]})
    rows["families"]["things: counts"] |= right  # wilson(58, 58) ends just below 1
    _, ax = plt.subplots()
    plot_abilities(rows, ax=ax)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["attributes", "things:\ncounts"]


def test_drawings_have_the_guidance_of_the_model_unless_another_is_given(monkeypatch):
    seen = []

    def draw(model, texts, best, key, **dials):
        seen.append(dials["guidance"])
        yield list(range(len(texts))), torch.ones(len(texts), 3, *[model.config.dvae.image_size] * 2)

    monkeypatch.setattr("dalle_edu.explore.abilities.draw_all", draw)
    for guidance in (None, 2.0):
        examine(loaded_model(), "attributes", 2, 1, guidance=guidance)
    assert seen == [loaded_model().config.drawing.guidance, 2.0]


def test_the_explorer_holds_every_verdict_and_is_the_same_twice(cases):
    first, again = ability_explorer(cases), ability_explorer(cases)
    assert first._repr_html_() == again._repr_html_()
    data = json.loads(first.json)
    assert data["families"] == ["attributes", "inside"] and data["count"] == 5
    for shown, case in zip(data["cases"], cases, strict=True):
        assert shown["properties"] == [key for key in case.said[0] if key.isalpha() and key != "all"]
        assert shown["all"] == [int(verdict["all"]) for verdict in case.said]
        assert shown["said"][2] == [int(case.drawn[0][key]) for key in shown["properties"]]
    assert "http" not in first.script


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: examine(loaded_model(), "landscapes"), "No judge reads 'landscapes'"),
        (lambda: examine(loaded_model(), "people", samples=0), "at least one"),
        (lambda: ability_explorer([]), "at least one case"),
        (lambda: plot_abilities({"families": {}}), "no family"),
    ],
)
def test_what_the_reader_can_mend_is_said_in_one_sentence(call, words):
    with pytest.raises(ReaderError, match=words):
        call()
