"""The evaluation: counts that add up, samples that are nested, figures that come back, copies found."""

import json

import pytest
import torch
from scipy.stats import binomtest
from toy import loaded_model

from dalle_edu.data import EmojiPictures, Scenes
from dalle_edu.data.mixture import Mixture
from dalle_edu.data.splits import HELD_OUT
from dalle_edu.errors import ReaderError
from dalle_edu.evaluate import figures as evaluation
from dalle_edu.evaluate.copies import copies, forty_prompts, nearest
from dalle_edu.evaluate.figures import (
    BEST,
    count_right,
    detail,
    draw_all,
    evaluate,
    family,
    held_out,
    parse_best,
    verdicts,
    write,
)
from dalle_edu.evaluate.report import all_samples, rate, table, wilson
from dalle_edu.sampling import sample_tokens


@pytest.fixture(scope="module")
def figures():
    return evaluate(loaded_model(), samples=3, seed=5, best="2,4:2")


def test_wilson_agrees_with_its_definition_the_rates_at_which_the_count_is_just_not_surprising():
    for right, of in ((0, 10), (7, 10), (64, 64), (300, 1000)):
        low, high = wilson(right, of)
        for p in (
            low,
            high,
        ):  # |right/of - p| = 1.96 standard deviations of a rate p, wherever p is not cut off at 0 or 1
            if 0 < p < 1:
                assert abs(right / of - p) == pytest.approx(1.96 * (p * (1 - p) / of) ** 0.5, abs=1e-9)
        assert 0 <= low <= right / of <= high <= 1
    assert rate([7, 10]) == "70% (40-89)"


def test_samples_of_one_caption_are_not_counted_as_so_many_captions():
    """Half of 64 captions wholly right and half wholly wrong: 512 drawings know no more than 64 captions."""
    best = {"captions": 64, "drawn": [256, 512], "each": [8] * 32 + [0] * 32}
    low, high = (int(end) for end in all_samples(best)[5:-1].split("-"))
    assert all_samples(best).startswith("50% (") and 11 <= 50 - low <= 13 and 11 <= high - 50 <= 13
    assert all_samples({"drawn": [256, 512]}) == "50% (46-54)"  # a file that does not say which
    assert all_samples(best | {"drawn": [512, 512], "each": [8] * 64}) == "100% (94-100)"


def test_best_is_read_as_it_is_written_and_what_cannot_be_is_refused():
    assert parse_best("8,64:24") == parse_best("64:24, 8") == {8: None, 64: 24}
    assert parse_best(BEST)
    for wrong in ("", "eight", "1", "8:4,64", "8:0", "8:3,64:4", "8,64:4,512:5", "8,64:0", "-8"):
        with pytest.raises(ReaderError, match="--best"):
            parse_best(wrong)


def test_every_drawing_is_counted_once_and_the_choices_come_from_what_was_drawn(figures):
    assert set(figures["families"]) == set(evaluation.FAMILIES)
    for row in figures["families"].values():
        assert row["single"]["all"][1] == row["careful"]["all"][1] == row["real"]["all"][1] == 3
        assert row["chance"]["all"][1] == 6  # two pictures of others for each of three captions
        assert row["best"]["2"]["drawn"][1] == 6 and row["best"]["4"]["drawn"][1] == 8
        for best in row["best"].values():
            assert best["right"][0] <= best["possible"][0] <= best["drawn"][0] == sum(best["each"])
            assert len(best["each"]) == best["captions"]
        assert sum(right for right, _ in row["real"].values()) > 0  # these are 16 pixels a side: hard to read


def test_the_same_seed_gives_the_same_figures_and_they_survive_json(figures):
    again = evaluate(loaded_model(), samples=3, seed=5, best="2,4:2")
    assert again == figures == json.loads(json.dumps(figures))


def test_guidance_is_that_of_every_drawing_and_the_figures_and_the_table_say_it(monkeypatch):
    seen = []

    def watched(*arguments, guidance=1.0, **how):
        seen.append(guidance)
        return sample_tokens(*arguments, guidance=guidance, **how)

    for module in ("dalle_edu.evaluate.figures", "dalle_edu.evaluate.known", "dalle_edu.drawing"):
        monkeypatch.setattr(f"{module}.sample_tokens", watched)
    figures = evaluate(loaded_model(), samples=1, best="2", guidance=1.5, workers=1)
    assert len(seen) > 10 and set(seen) == {1.5}
    assert figures["guidance"] == 1.5 and f"{figures['threads']} threads, guidance 1.5)" in table(figures)


def test_guidance_that_cannot_be_is_refused_before_anything_is_measured(monkeypatch):
    monkeypatch.delattr(evaluation, "reconstruction")
    with pytest.raises(ReaderError, match="guidance is -1"):
        evaluate(loaded_model(), guidance=-1)


def test_the_table_shows_every_family_and_no_line_is_too_long(figures):
    text = table(figures)
    for name in evaluation.FAMILIES:
        assert text.count(f"\n{name} ") >= 4
    assert max(map(len, text.splitlines())) <= 110
    assert "shape+colour+size" in text and "profession+skin_tone" in text and "all, " in text


def test_a_larger_number_of_samples_begins_with_the_smaller_ones():
    model, captions = loaded_model(), ["a small red star", "a large blue ring", "a small green cross"]

    def drawn(best):
        per = {}
        for owners, pictures in draw_all(model, captions, best, "test"):
            for i, picture in zip(owners, pictures, strict=True):
                per.setdefault(i, []).append(picture)
        return per

    few, many = drawn({4: None}), drawn({4: None, 70: 2})
    assert [len(many[i]) for i in range(3)] == [70, 70, 4]
    for i in range(3):
        assert torch.equal(torch.stack(few[i]), torch.stack(many[i][:4]))
    assert not torch.equal(many[0][0], many[0][4])


def test_best_of_is_the_drawing_that_clip_scores_highest_among_the_first_n():
    said = [[{"all": False}, {"all": True}, {"all": False}], [{"all": False}, {"all": False}, {"all": True}]]
    scores = [[0.1, 0.3, 0.9], [0.5, 0.2, 0.6]]
    two, three = (evaluation._best_of(n, None, scores, said) for n in (2, 3))
    assert two == {"captions": 2, "right": [1, 2], "drawn": [1, 4], "each": [1, 0], "possible": [1, 2]}
    assert three["right"] == [1, 2] and three["possible"] == [2, 2]
    assert evaluation._best_of(3, 1, scores, said)["right"] == [0, 1]


def test_the_bar_knows_how_many_pictures_there_will_be():
    drawn = []
    family(loaded_model(), "inside", 3, 0, {2: None, 4: 2}, drawn.append)
    assert sum(drawn) == evaluation._pictures(3, {2: None, 4: 2}) == 3 + 3 * 2 + 2 * 2


def test_people_are_held_out_combinations_and_the_judge_reads_real_ones():
    pictures, captions = held_out("people", 64, 20, 0)
    assert len(set(captions)) == 20 and set(captions) <= set(EmojiPictures(64, "held_out").captions)
    counts = count_right(verdicts("people", pictures, captions))
    assert counts["all"][0] >= 19 and counts["profession+skin_tone"][0] >= 19
    wrong = count_right(verdicts("people", pictures.roll(1, 0), captions))
    assert wrong["all"][0] <= 2


def test_rows_of_their_own_count_only_the_captions_they_are_about():
    scenes = Scenes("objects", length=40, split="held_out")
    pictures, captions = zip(*(scenes[i] for i in range(40)), strict=True)
    counts = count_right(verdicts("objects", torch.stack(pictures), list(captions)))
    parts = [counts[f"all, {kind}"][1] for kind in ("pairs", "counted", "lists")]
    assert sum(parts) == 40 and min(parts) > 0 and counts["relation"][1] == parts[0]


def test_detail_counts_fine_waves_and_not_coarse_ones():
    x = torch.arange(32) / 32
    fine, coarse = (
        0.5 + 0.2 * torch.cos(2 * torch.pi * cycles * x).expand(1, 3, 32, 32) for cycles in (12, 3)
    )
    assert detail(fine) == pytest.approx(
        0.02, rel=1e-4
    )  # the variance of a wave is half its amplitude squared
    assert detail(coarse) < 1e-6


def test_a_copy_is_found_and_another_picture_is_none():
    model = loaded_model()
    scenes = Scenes("attributes", 16, length=30)
    pictures = torch.stack([scenes[i][0] for i in range(30)])
    training = Mixture(
        (pictures * 255).round().to(torch.uint8), [[scenes[i][1]] for i in range(30)], torch.ones(30)
    )
    copied = model.vae.encode(training.images(torch.tensor([7])))[0].flatten()
    strange = torch.randint(0, 32, copied.shape, generator=torch.Generator().manual_seed(0))
    found = nearest(model, torch.stack([copied, strange]), training)
    by_hand = (
        (model.pictures(copied[None]) - training.images(torch.arange(30))).square().mean((1, 2, 3)).argmin()
    )
    assert found.index[0] == by_hand
    if by_hand == 7:
        assert found.caption[0] == scenes[7][1] and found.tokens[0] and found.pixels[0]
    assert not found.tokens[1] and not found.pixels[1]
    with pytest.raises(ReaderError, match="size"):
        nearest(
            model, copied[None], Mixture(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), [["a"]], torch.ones(1))
        )


@pytest.mark.parametrize("way", HELD_OUT)
def test_forty_prompts_are_forty_and_what_is_called_unseen_is_unseen_whatever_way_emoji_were_held_out(way):
    groups = forty_prompts(way=way)
    assert [len(set(prompts)) for prompts in groups.values()] == [10] * 4
    trained = set(EmojiPictures(64, "train", held_out=way).captions)
    assert set(groups["emoji, train"]) <= trained
    assert not trained & {*groups["emoji, test"], *groups["people, held out"]}


def test_copies_reports_every_drawing():
    found = copies(loaded_model(), samples=2)
    assert len(found["figures"]["prompts"]) == 40 and found["drawings"].shape == found["nearest"].shape
    assert all(row["tokens"][1] == 20 for row in found["figures"]["groups"].values())


def test_interrupted_it_keeps_what_is_finished_and_says_so(monkeypatch):
    def stop(model, name, *rest, **how):
        if name == "solids":
            raise KeyboardInterrupt
        return family(model, name, *rest, **how)

    monkeypatch.setattr(evaluation, "family", stop)
    figures = evaluate(loaded_model(), samples=2, best="2")
    assert list(figures["families"]) == ["attributes", "objects"] and figures["interrupted"]
    assert "Interrupted" in table(figures)


def test_one_caption_a_family_is_measured_too_and_where_there_is_no_other_there_is_no_chance(tmp_path):
    figures = evaluate(loaded_model(), samples=1, best="2")
    write(figures, tmp_path / "figures.json")
    assert json.loads((tmp_path / "figures.json").read_text(encoding="utf-8")) == figures
    for row in figures["families"].values():
        assert row["single"]["all"][1] == 1 and row["chance"]["all"][1] == 0
    rows = [line for line in table(figures).splitlines() if line.startswith(tuple(evaluation.FAMILIES))]
    assert sum(" - " in line for line in rows) >= len(evaluation.FAMILIES)


def test_the_command_refuses_what_best_cannot_be_before_it_loads_a_model(capsys):
    from dalle_edu.cli import main

    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", "--best", "eight"])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("dalle-edu: --best eight cannot be read: write 8,64:24")


@pytest.mark.parametrize(("right", "of"), [(0, 5), (5, 5), (31, 48), (1, 1000)])
def test_intervals_are_those_of_scipy(right, of):
    expected = binomtest(right, of).proportion_ci(0.95, method="wilson")
    assert wilson(right, of) == pytest.approx((expected.low, expected.high), abs=1e-5)
